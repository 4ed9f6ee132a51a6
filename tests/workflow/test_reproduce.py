"""The level-by-level driver: its order of artifacts agrees with what each is made from."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.common.fingerprint import ROOT
from scripts.workflow.artifacts import Artifacts
from scripts.workflow.config import read
from scripts.workflow.reproduce import first


def test_only_the_longest_chain_of_models_is_prioritized() -> None:
    artifacts = Artifacts(read("tiny"))
    models = [f"results/tiny/models/{name}/manifest.json" for name in ("quality-any", "teacher", "mopd", "ins-sft-1")]
    scores = ["results/tiny/scores/base/ifeval.json", "results/tiny/tables/mopd.json"]
    assert first(artifacts, scores + models) == ["--prioritize", models[2]]
    assert first(artifacts, [*models[:2], models[3]]) == ["--prioritize", models[3]]
    assert first(artifacts, scores) == []


SNAKEMAKE = """
import pathlib, signal, threading
ended = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: ended.set())
pathlib.Path("started").touch()
try:
    ended.wait(60)
except KeyboardInterrupt:
    pass
threading.Event().wait(0.5)
pathlib.Path("unlocked").touch()
"""
"""A stand-in that ends as Snakemake does: cleanly after Ctrl-C and any number of SIGTERM, at once after SIGHUP."""
DRIVER = """
import signal, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # tests that run under nohup pass it on as ignored
from scripts.workflow.artifacts import Artifacts
from scripts.workflow.config import read
from scripts.workflow.progress import Progress
from scripts.workflow.reproduce import heed_signals, run_snakemake
heed_signals()
run_snakemake([sys.executable, "-c", open("snakemake.py").read()], [], Progress(Artifacts(read("tiny")), cores=1))
"""
STOPPED = "Stopped. Run the same command again to continue; finished artifacts are kept.\n"


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """The driver in its own session, after it has started Snakemake."""
    (tmp_path / "snakemake.py").write_text(SNAKEMAKE)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", DRIVER]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / "started").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        yield process


def test_ctrl_c_waits_until_snakemake_took_its_lock_away(driver: subprocess.Popen[str], tmp_path: Path) -> None:
    """Driver and Snakemake both receive the signal; if the driver ended first, the folder would stay locked."""
    os.killpg(driver.pid, signal.SIGINT)
    _, stderr = driver.communicate(timeout=30)
    assert (tmp_path / "unlocked").exists()
    assert stderr == STOPPED


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("reaches_all", [True, False], ids=["the whole group", "the driver alone"])
def test_a_killed_driver_ends_snakemake_and_waits_for_it(
    driver: subprocess.Popen[str], tmp_path: Path, number: signal.Signals, reaches_all: bool
) -> None:
    """`kill` signals the driver alone; `timeout` and the loss of a session signal all processes, `make` some twice."""
    (os.killpg if reaches_all else os.kill)(driver.pid, number)
    time.sleep(0.1)
    os.kill(driver.pid, number)
    _, stderr = driver.communicate(timeout=30)
    assert (tmp_path / "unlocked").exists()
    assert stderr.endswith(STOPPED) and driver.returncode == 1
