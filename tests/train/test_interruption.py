"""A training that gets SIGTERM saves a checkpoint, and its next attempt ends with the bytes of an undisturbed one."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import types
from pathlib import Path

import pytest

from scripts.common.artifacts import read_json
from scripts.train import sft
from scripts.train.checkpoints import last_checkpoint
from scripts.train.interruption import ENDED
from scripts.train.progress import Progress
from tests.train.lab import SUPERVISED, corpus, dataset

SIGNALLED = 4
SETTINGS = {"training": SUPERVISED | {"max_steps": 6, "save_steps": 1000}}


def started(inputs: list[str], out: Path, signalled: bool) -> int:
    """Exit code of the step in its own process; if `signalled`, it gets SIGTERM at the start of step SIGNALLED."""

    def child() -> None:
        os.chdir(out.parents[1])
        sys.argv = ["sft", "--recipe", json.dumps({"settings": SETTINGS, "seed": 1}), *inputs, "--out", str(out)]
        if signalled:
            Progress.on_step_begin = (  # type: ignore[method-assign]
                lambda self, args, state, control, **_: (
                    os.kill(os.getpid(), signal.SIGTERM) if state.global_step == SIGNALLED - 1 else None
                )
            )
        sft.main()

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(120)
    assert process.exitcode is not None, "the training hangs"
    return process.exitcode


@pytest.mark.slow
def test_ended_by_sigterm_and_started_again_equals_uninterrupted(lab: types.SimpleNamespace, tmp_path: Path) -> None:
    inputs = ["--dataset", str(dataset(tmp_path / "few", corpus(35, 4))), "--init", str(lab.base)]
    whole, broken = tmp_path / "whole" / "manifest.json", tmp_path / "broken" / "manifest.json"

    assert started(inputs, whole, signalled=False) == 0
    assert started(inputs, broken, signalled=True) == ENDED
    assert not broken.exists(), "a training that SIGTERM ended must leave nothing that looks finished"
    (work,) = (tmp_path / "work").iterdir()
    assert last_checkpoint(work) == work / "checkpoints" / f"checkpoint-{SIGNALLED}", "the step of the signal"

    assert started(inputs, broken, signalled=False) == 0
    assert read_json(broken.parent / "run.json")["notes"]["resumed_at"] == SIGNALLED
    assert read_json(broken) == read_json(whole), "weights, log, tokenizer and counts, by digest"
