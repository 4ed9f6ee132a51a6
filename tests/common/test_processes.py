"""A step of several processes, as a training's launcher starts them: only rank 0 publishes the artifact."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from scripts.common.settings import Settings
from scripts.common.step import step

MODULE = "scripts.common.artifacts"  # any module of the project: what matters is that it has a fingerprint


@pytest.fixture
def run_as(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Run one process of a step that leaves a checkpoint and weights, both with its rank."""
    monkeypatch.chdir(tmp_path)
    recipe = json.dumps({"settings": {}, "seed": 1})
    monkeypatch.setattr(sys, "argv", ["step", "--recipe", recipe, "--out", "model/manifest.json"])

    def run_it(rank: str) -> None:
        monkeypatch.setenv("RANK", rank)
        with step(ModuleSpec(MODULE, None), inputs=(), settings=Settings) as run:
            run.work.mkdir(parents=True, exist_ok=True)
            (run.work / f"checkpoint-of-{rank}").write_text(rank)
            (run.out / "weights").write_text(rank)

    return run_it


def test_another_process_shares_the_work_and_leaves_no_artifact(run_as, tmp_path, capsys):
    run_as("1")
    assert [file.name for file in tmp_path.glob("work/*/*")] == ["checkpoint-of-1"]
    assert not (tmp_path / "model").exists()
    assert capsys.readouterr().out == ""


def test_the_first_process_puts_its_files_in_place_and_ends_the_work(run_as, tmp_path, capsys):
    run_as("1")
    run_as("0")
    assert (tmp_path / "model" / "weights").read_text() == "0"
    assert not list(tmp_path.glob("work/*"))
    command = "env OMP_NUM_THREADS=1 PYTHONHASHSEED=0 python -m scripts.common.artifacts --recipe"
    assert capsys.readouterr().out.startswith(command)
