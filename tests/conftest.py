"""Fixtures that several stages' tests share: a checkout of the project in which the pipeline really ran."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import planner
import pytest

from scripts.common import numerics

ROOT = Path(__file__).resolve().parents[1]
CODE = ("Snakefile", "config.yaml", "rules", "scripts", "scales", "envs", "containers", "README.md")
OVERLAY = "overlay.yaml"
"""Configuration file by which a checkout overrides its scale."""
CELLS = ("instruct/ins-grpo/ifeval", "opd/opd/average", "mopd/mopd/ifeval")
"""Targets of the shared checkout: one cell per method (SFT, GRPO, OPD, MOPD)."""

os.environ.update(numerics.variables("portable"))
"""Before any test imports PyTorch or NumPy: tests compute with the numbers that the tiny scale's jobs compute with."""

signal.signal(signal.SIGINT, signal.default_int_handler)
"""A shell starts background jobs with Ctrl-C ignored, and the processes that tests start would inherit that."""


@dataclass(frozen=True)
class Checkout:
    """A copy of the project's code in its own folder, with the results that Snakemake makes there."""

    root: Path

    @property
    def results(self) -> Path:
        return self.root / "results" / "tiny"

    @property
    def python(self) -> str:
        """The interpreter of the environment that the tests run in."""
        return sys.executable

    def snakemake(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run Snakemake as a user would, at the tests' small size."""
        command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments, "--configfile", OVERLAY]
        return self.run(command, check)

    def reproduce(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the level-by-level driver."""
        return self.run([sys.executable, "-m", "scripts.workflow.reproduce", "--configfile", OVERLAY, *arguments])

    def run(self, command: list[str], check: bool = True) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(self.root)}
        done = subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True, timeout=1500)
        if check and done.returncode:
            raise AssertionError(f"{command} failed:\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}")
        return done

    def planned(self, *arguments: str) -> dict[str, int]:
        """Rule to number of jobs that `snakemake --dry-run` with targets or options plans; empty if all is done."""
        output = self.dry_run(*arguments)
        table = re.search(r"^job +count\n-+ +-+\n(.*?)^total", output, re.M | re.S)
        if table is None and "Nothing to be done" not in output:
            raise AssertionError(f"no plan for {arguments}:\n{output[-6000:]}")
        rows = [line.split() for line in table[1].splitlines()] if table else []
        return {name: int(count) for name, count in rows if name != "all"}

    def dry_run(self, *arguments: str) -> str:
        """The output of `snakemake --dry-run`."""
        return planner.dry_run(self.root, *arguments, "--configfile", OVERLAY)

    @property
    def targets(self) -> list[str]:
        return [f"results/tiny/cells/{cell}.json" for cell in CELLS]


def copy_of_the_project(folder: Path, overlay: Path = ROOT / "tests" / "pipeline" / "mini.yaml") -> Checkout:
    """The code and the overlay, without results, environment or history."""
    folder.mkdir(parents=True)
    for name in CODE:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.sif", "*.sif.run"))
        else:
            shutil.copy2(source, folder / name)
    shutil.copy2(overlay, folder / OVERLAY)
    return Checkout(folder)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout in which CELLS are made from raw corpora. Tests that change it undo every change."""
    checkout = copy_of_the_project(tmp_path_factory.mktemp("pipeline") / "checkout")
    checkout.snakemake(*checkout.targets)
    return checkout


@pytest.fixture
def copy(built: Checkout, tmp_path: Path) -> Checkout:
    """A copy of the built checkout and its history in another folder, which a test may change freely."""
    return Checkout(shutil.copytree(built.root, tmp_path / "elsewhere", symlinks=True))
