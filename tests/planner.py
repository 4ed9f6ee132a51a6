"""Run `snakemake --dry-run` in a fork of a process that has imported Snakemake: one second per plan, not three."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from pathlib import Path

PLANNERS = multiprocessing.get_context("forkserver")
PLANNERS.set_forkserver_preload(["snakemake.cli", "snakemake.workflow", "snakemake.dag"])


def dry_run(folder: Path, *arguments: str) -> str:
    """The output of `snakemake --dry-run` with `arguments` in `folder`."""
    with tempfile.NamedTemporaryFile(mode="r", suffix=".txt") as output:
        process = PLANNERS.Process(target=_dry_run, args=(folder, [*arguments, "--dry-run"], output.name))
        process.start()
        process.join(timeout=600)
        process.kill()
        return output.read()


def _dry_run(folder: Path, command: list[str], output: str) -> None:
    os.chdir(folder)
    target = os.open(output, os.O_WRONLY)
    os.dup2(target, 1)
    os.dup2(target, 2)
    from snakemake.cli import main

    main(command)
