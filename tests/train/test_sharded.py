"""The paper scale's trainings on two processes, with its settings, DeepSpeed configuration and launcher, at nano shape.

All but plain data parallelism (stage 0) need DeepSpeed: `make test-stack` runs them in envs/stack.txt.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import subprocess
import sys
import time
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
import transformers
from packaging.version import Version

from scripts.common.artifacts import read_json
from scripts.common.fingerprint import ROOT
from scripts.containers.launch import launch
from scripts.train.checkpoints import last_checkpoint
from scripts.workflow import config
from tests.train.lab import corpus, dataset, load, log_of, perturbed

pytestmark = pytest.mark.slow
needs_deepspeed = pytest.mark.skipif(
    importlib.util.find_spec("deepspeed") is None, reason="DeepSpeed is not installed here: make test-stack"
)
plain = pytest.mark.skipif(
    Version(transformers.__version__) < Version("5.23"),
    reason="transformers 5.17 restores no optimizer of several CPU processes without DeepSpeed: make test",
)
STEPS, SAVED, SECONDS = 7, 4, 900
"""The data of each kind give an epoch of three steps, so checkpoint 4 is within the second, whose order differs."""
MODELS = {"sft": "ins-sft-1", "grpo": "ins-grpo", "opd": "opd", "mopd": "mopd"}
SHAPE = {"epochs": None, "max_steps": STEPS, "save_steps": SAVED, "attention": "sdpa", "learning_rate": 1e-3}
"""Settings of the paper's scale that a CPU, or a model of 30,000 parameters, cannot have."""
ROWS = {"sft": 24, "grpo": 3 * 4, "opd": 3 * 8, "mopd": 3 * 8}
OWN = {
    "sft": {"batch_size": 4, "max_length": 96},
    "grpo": {"batch_size": 16, "group_size": 4},
    "opd": {"batch_size": 8},
    "mopd": {"batch_size": 8},
}
ROLLOUT = {"max_prompt_tokens": 64, "max_completion_tokens": 12, "engine": "transformers"}


def settings(kind: str, **changes: Any) -> dict[str, Any]:
    """The settings of the paper scale's step with the shape changed."""
    training = config.read("paper").training_of(MODELS[kind]).model_dump(mode="json") | SHAPE | OWN[kind] | changes
    if kind == "sft":
        return {"training": training}
    training["rollout"] |= ROLLOUT
    return {"training": training, "thinking": False} | ({"verify": {}} if kind == "grpo" else {})


def inputs(lab: types.SimpleNamespace, kind: str, count: int) -> str:
    folder = lab.folder / f"sharded-{kind}-{count}"
    rows = folder / "manifest.json" if folder.exists() else dataset(folder, corpus(count, 4))
    if kind == "sft":
        return f"--dataset {rows} --init {lab.base}"
    teachers = {}
    for seed, name in enumerate(("knowledge", "math") if kind == "mopd" else ("all",) if kind == "opd" else ()):
        folder = lab.folder / f"teacher-{name}"
        teachers[name] = folder / "manifest.json" if folder.exists() else perturbed(lab.ins.parent, folder, seed)
    named = " ".join(f"{name}={path}" for name, path in teachers.items())
    return f"--dataset {rows} --init {lab.ins}" + (f" --teachers {named}" if named else "")


class Training:
    """A step started as the rules start it, in a folder of its own."""

    def __init__(
        self, lab: types.SimpleNamespace, kind: str, folder: Path, stage: int, processes: int = 2, **changes: Any
    ) -> None:
        budget = config.read("paper").budget_of(f"train.{kind.removeprefix('m')}")
        assert budget.deepspeed == "scales/zero-3.json"
        update = {"gpus": processes, "deepspeed": f"scales/zero-{stage}.json" if stage else None}
        start = launch(budget.model_copy(update=update), None, "")
        rows = ROWS[kind] // (1 if changes.get("packing", True) else 2)  # two make a packed sequence
        recipe = shlex.quote(json.dumps({"settings": settings(kind, **changes), "seed": 1}))
        self.folder, self.out = folder, folder / "model"
        folder.mkdir(exist_ok=True)
        self._command = (
            f"exec env {start} scripts.train.{kind.removeprefix('m')} --recipe {recipe} {inputs(lab, kind, rows)} "
            f"--out {self.out}/manifest.json"
        )

    def start(self) -> subprocess.Popen[bytes]:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"}
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(self._command, shell=True, cwd=self.folder, env=environment, stdout=log, stderr=log)

    def finish(self) -> Path:
        assert self.start().wait(SECONDS) == 0, (self.folder / "log").read_text()[-6000:]
        return self.out

    def kill_after_a_checkpoint(self) -> Path:
        """SIGKILL for the launcher and all its processes as soon as a checkpoint is whole; the work folder."""
        launcher, end = self.start(), time.monotonic() + SECONDS
        while not (whole := [work for work in self.folder.glob("work/*") if last_checkpoint(work)]):
            assert launcher.poll() is None and time.monotonic() < end, (self.folder / "log").read_text()[-6000:]
            time.sleep(0.02)
        parent = psutil.Process(launcher.pid)
        for process in [parent, *parent.children(recursive=True)]:
            process.kill()
        launcher.wait()
        return whole[0]


def losses(folder: Path) -> list[float]:
    return [entry["loss"] for entry in log_of(folder)]


def sharded(*kinds: tuple[str, int], marks: Sequence[pytest.MarkDecorator] = ()) -> list[Any]:
    return [pytest.param(kind, stage, {}, marks=[needs_deepspeed, *marks]) for kind, stage in kinds]


@pytest.mark.parametrize(
    ("kind", "stage", "changes"),
    [
        pytest.param("sft", 0, {"packing": False}, marks=plain),
        pytest.param("grpo", 0, {}, marks=plain),
        *sharded(("sft", 2), ("sft", 3), ("grpo", 3), ("mopd", 3)),
        *sharded(("opd", 2), ("opd", 3), marks=[pytest.mark.whole]),
    ],
)
def test_two_processes_train_killed_and_restarted_to_the_same_bytes(
    lab: types.SimpleNamespace, tmp_path: Path, kind: str, stage: int, changes: dict[str, Any]
) -> None:
    """In bf16 with gradient checkpointing, as the paper's scale."""
    whole = Training(lab, kind, tmp_path / "whole", stage, **changes).finish()
    assert log_of(whole)[2]["epoch"] == 1.0
    record = read_json(whole / "run.json")
    assert record["notes"]["processes"] == 2 and record["notes"]["resumed_at"] is None
    assert "model.safetensors" in read_json(whole / "manifest.json")["files"]
    assert load(whole, torch.bfloat16).num_parameters() == read_json(whole / "manifest.json")["counts"]["parameters"]
    assert read_json(whole / "config.json")["dtype"] == "bfloat16"
    verdicts = read_json(whole / "manifest.json")["counts"].get("verdicts", {"of another method": STEPS * 16})
    assert sum(verdicts.values()) == STEPS * 16, "each process verified its own share"

    broken = Training(lab, kind, tmp_path / "broken", stage, **changes)
    work = broken.kill_after_a_checkpoint()
    assert not broken.out.exists(), "a killed run must leave nothing that looks finished"
    assert last_checkpoint(work) is not None
    resumed = broken.finish()
    assert read_json(resumed / "run.json")["notes"]["resumed_at"] == SAVED
    assert read_json(resumed / "manifest.json") == read_json(whole / "manifest.json"), "weights and log, by digest"


@needs_deepspeed
@pytest.mark.parametrize("stage", [pytest.param(2, marks=pytest.mark.whole), 3])
def test_the_loss_is_that_of_one_process(lab: types.SimpleNamespace, tmp_path: Path, stage: int) -> None:
    """The same rows make a step, however many processes share them, and a sharded optimizer is the optimizer."""
    one = Training(lab, "sft", tmp_path / "one", 0, processes=1, bf16=False).finish()
    two = Training(lab, "sft", tmp_path / "two", stage, bf16=False).finish()
    assert losses(two) == pytest.approx(losses(one), rel=1e-4)
    for name, weight in load(one).state_dict().items():
        assert torch.allclose(weight, load(two).state_dict()[name], atol=1e-4), name
