"""Retries: in one run of Snakemake, a fault of the step is not repeated, and a failure from outside is."""

from __future__ import annotations

import pytest
from torch.distributed import DistBackendError

from scripts.common import retries


def fail(work, error):
    try:
        raise error
    except Exception as caught:
        retries.note(work, caught)


@pytest.fixture
def run_of_snakemake(monkeypatch):
    monkeypatch.setenv(retries.RUN_VARIABLE, "one")
    return monkeypatch


def test_a_fault_is_not_repeated_and_shows_its_traceback(tmp_path, run_of_snakemake):
    fail(tmp_path / "work", ValueError("no such column: answer"))
    with pytest.raises(SystemExit, match=r"(?s)test_retries.*no such column: answer.*Not repeated"):
        retries.refuse_repetition(tmp_path / "work")


def test_the_next_run_of_snakemake_tries_again(tmp_path, run_of_snakemake):
    fail(tmp_path, ValueError("mended since"))
    run_of_snakemake.setenv(retries.RUN_VARIABLE, "two")
    retries.refuse_repetition(tmp_path)


GONE = (
    DistBackendError("NCCL error: remote process exited or there was a network error"),
    RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:1"),
)
"""Errors of the surviving processes of a training after a process on another node died."""


@pytest.mark.parametrize("error", [OSError("stale file handle"), TimeoutError(), MemoryError(), *GONE])
def test_errors_from_outside_are_repeated(tmp_path, run_of_snakemake, error):
    fail(tmp_path, error)
    retries.refuse_repetition(tmp_path)


def test_an_error_raised_from_one_from_outside_is_repeated(tmp_path, run_of_snakemake):
    error = RuntimeError("the data set could not be loaded")
    error.__cause__ = ConnectionError("reset by peer")
    fail(tmp_path, error)
    retries.refuse_repetition(tmp_path)


def test_a_step_run_by_hand_leaves_no_mark(tmp_path, monkeypatch):
    monkeypatch.delenv(retries.RUN_VARIABLE, raising=False)
    fail(tmp_path, ValueError())
    assert list(tmp_path.iterdir()) == []
