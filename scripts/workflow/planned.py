"""The recipe that each artifact of a scale would be made by now, as Snakemake plans it. Starts no job.

A dry run in an empty folder prints the command of every job; its `--recipe` and `--out` say what makes which artifact.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from scripts.common.fingerprint import ROOT
from scripts.workflow.config import read

COMMAND = "Shell command: "
"""What precedes a job's command in the output of `snakemake --printshellcmds`."""


def planned_recipes(scale: str, seed: int) -> dict[str, dict[str, Any]]:
    """Artifact (path below the results folder) to the recipe that it would be made by.

    Raises SystemExit with Snakemake's message if there is no plan.
    """
    with tempfile.TemporaryDirectory() as empty:
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", empty]
        command += ["--dry-run", "--printshellcmds", "--config", f"scale={scale}", f"seed={seed}"]
        plan = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if plan.returncode:
        raise SystemExit(plan.stdout.strip())
    return dict(read_plan(plan.stdout, read(scale, {"seed": seed}).results))


def read_plan(text: str, results: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each artifact below `results` with its recipe, from the commands that a dry run printed."""
    for line in text.splitlines():
        words = shlex.split(line.removeprefix(COMMAND)) if line.startswith(COMMAND) else []
        if "--recipe" in words:
            recipe = json.loads(words[words.index("--recipe") + 1])
            yield from ((PurePath(path).relative_to(results).as_posix(), recipe) for path in _outputs(words))


def _outputs(words: list[str]) -> Iterator[str]:
    """The values of `--out`, which end at the next option or at the redirection to the log."""
    for word in words[words.index("--out") + 1 :]:
        if word.startswith(("-", ">")):
            return
        yield word
