"""A training that is killed with SIGKILL and started again ends with the bytes of an undisturbed one."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from scripts.common.artifacts import read_json
from scripts.train import grpo, opd, pretrain, sft
from scripts.train.checkpoints import last_checkpoint
from scripts.train.progress import Progress
from tests.train.lab import GRPO, OPD, PRETRAIN, SUPERVISED, corpus, dataset, log_of, perturbed

LENGTH = {"max_steps": 7, "save_steps": 2}
EPOCH = 3
"""Steps per epoch in each kind's data: checkpoint 2 is within the first epoch, checkpoint 4 within the second."""


def command(lab: types.SimpleNamespace, kind: str) -> tuple[types.ModuleType, dict[str, Any], list[str]]:
    """Module, settings and inputs of a training of each kind."""
    rows = {"sft-packed": 46, "grpo": EPOCH * 4, "opd": EPOCH * 8}.get(kind, 2 * 8 + 3)
    chats = dataset(lab.folder / f"resume-{kind}", corpus(rows, 4))
    data = ["--dataset", str(chats)]
    if kind == "pretrain":
        return pretrain, {"training": PRETRAIN | LENGTH}, data
    if kind.startswith("sft"):
        packed = {"packing": kind == "sft-packed"}
        return sft, {"training": SUPERVISED | LENGTH | packed}, [*data, "--init", str(lab.base)]
    prompts = [*data, "--init", str(lab.ins)]
    if kind == "grpo":
        return grpo, {"training": GRPO | LENGTH | {"beta": 0.05}, "thinking": False, "verify": {}}, prompts
    teacher = lab.folder / "resume-teacher"
    manifest = teacher / "manifest.json" if teacher.exists() else perturbed(lab.ins.parent, teacher, 7)
    named = ["--teachers", f"math={lab.ins}", f"knowledge={manifest}"]
    return opd, {"training": OPD | LENGTH, "thinking": False}, [*prompts, *named]


def started(
    module: types.ModuleType, settings: dict[str, Any], inputs: list[str], out: Path, killed: int | None = None
) -> int:
    """Exit code of the step's `main` in its own process, which kills itself in the middle of step `killed`."""

    def child() -> None:
        os.chdir(out.parents[1])
        recipe = json.dumps({"settings": settings, "seed": 1})
        sys.argv = [module.__name__, "--recipe", recipe, *inputs, "--out", str(out)]
        if killed:
            Progress.on_substep_end = Progress.on_step_begin = (  # type: ignore[method-assign]
                lambda self, args, state, control, **_: (
                    os.kill(os.getpid(), signal.SIGKILL) if state.global_step + 1 == killed else None
                )
            )
        module.main()

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(120)
    assert process.exitcode is not None, "the training hangs"
    return process.exitcode


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["pretrain", "sft", "sft-packed", "grpo", "opd"])
def test_killed_and_restarted_equals_uninterrupted(lab: types.SimpleNamespace, tmp_path: Path, kind: str) -> None:
    """Killed in the first epoch, and killed in the second, whose order of rows differs."""
    module, settings, inputs = command(lab, kind)
    whole = tmp_path / "whole" / "manifest.json"
    assert started(module, settings, inputs, whole) == 0
    assert read_json(whole.parent / "run.json")["notes"]["resumed_at"] is None
    assert log_of(whole.parent)[EPOCH - 1]["epoch"] == 1.0

    for saved in (2, 4):
        broken = tmp_path / f"broken-{saved}" / "manifest.json"
        assert started(module, settings, inputs, broken, killed=saved + 2) == -signal.SIGKILL
        assert not broken.exists(), "a killed run must leave nothing that looks finished"
        (work,) = (tmp_path / "work").iterdir()
        assert last_checkpoint(work) == work / "checkpoints" / f"checkpoint-{saved}"

        assert started(module, settings, inputs, broken) == 0
        assert read_json(broken.parent / "run.json")["notes"]["resumed_at"] == saved
        assert read_json(broken) == read_json(whole), "weights, log, tokenizer and counts, by digest"
        assert not work.exists() and [folder.name for folder in tmp_path.iterdir() if "partial" in folder.name] == []


def test_a_checkpoint_cut_off_while_written_is_not_resumed_from(tmp_path: Path) -> None:
    assert last_checkpoint(tmp_path) is None
    for step, complete in ((9, True), (10, True), (11, False)):
        folder = tmp_path / "checkpoints" / f"checkpoint-{step}"
        folder.mkdir(parents=True)
        (folder / "model.safetensors").touch()
        if complete:
            (folder / "complete").touch()
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoints" / "checkpoint-10"
