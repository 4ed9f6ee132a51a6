"""Fixtures that several stages' tests share: a checkout of the project in which the pipeline really ran."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CODE = ("Snakefile", "config.yaml", "rules", "scripts", "scales", "envs", "containers")
MINI = ROOT / "tests" / "pipeline" / "mini.yaml"
CELLS = ("instruct/ins-grpo/ifeval", "opd/opd/average", "mopd/mopd/ifeval")
"""What the shared checkout builds: a cell of each method (SFT, GRPO, OPD, MOPD) and all that they need."""


@dataclass(frozen=True)
class Checkout:
    """A copy of the project's code in a folder of its own, with the results that Snakemake makes there."""

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
        command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments, "--configfile", str(MINI)]
        return self.run(command, check)

    def reproduce(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the level-by-level driver."""
        return self.run([sys.executable, "-m", "scripts.reproduce", "--configfile", str(MINI), *arguments])

    def run(self, command: list[str], check: bool = True) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(self.root)}
        done = subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True, timeout=1500)
        if check and done.returncode:
            raise AssertionError(f"{command} failed:\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}")
        return done

    def planned(self, *targets: str) -> dict[str, int]:
        """Jobs by rule that Snakemake would run for the targets; empty when there is nothing to do."""
        output = self.snakemake(*(targets or self.targets), "--dry-run").stdout
        table = re.search(r"^job +count\n-+ +-+\n(.*?)^total", output, re.M | re.S)
        rows = (line.split() for line in table[1].splitlines()) if table else ()
        return {name: int(count) for name, count in rows}

    @property
    def targets(self) -> list[str]:
        return [f"results/tiny/cells/{cell}.json" for cell in CELLS]


def copy_of_the_project(folder: Path) -> Checkout:
    """The code alone, without results, environment or history."""
    folder.mkdir(parents=True)
    for name in CODE:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.sif"))
        else:
            shutil.copy2(source, folder / name)
    return Checkout(folder)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout whose CELLS are made, from raw corpora on. Tests that change it put everything back."""
    checkout = copy_of_the_project(tmp_path_factory.mktemp("pipeline") / "checkout")
    checkout.snakemake(*checkout.targets)
    return checkout
