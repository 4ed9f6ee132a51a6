"""Measure the seconds that Snakemake needs to plan, compared with its start-up alone.

    python -m benchmarks.bench_plan [--rounds 3]

Each round runs every command once. A row gives the median, the least and the largest of wall seconds, the median of CPU
seconds (which depend less on other work on the machine), and the ratio of the median wall time to that of
`snakemake --version`, the lower bound of every plan.
"""

from __future__ import annotations

import argparse
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SNAKEMAKE = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
COMMANDS = {
    "snakemake --version": ["--version"],
    "tiny, everything": ["--dry-run", "--quiet", "rules", "--config", "scale=tiny"],
    "paper, everything": ["--dry-run", "--quiet", "rules", "--config", "scale=paper"],
    "paper, one cell": [
        "results/paper/cells/instruct/ins-grpo/ifeval.json",
        "--dry-run",
        "--quiet",
        "rules",
        "--config",
        "scale=paper",
    ],
}


@dataclass(frozen=True)
class Timing:
    """One run of a command."""

    wall: float
    cpu: float
    jobs: int
    """Number of planned jobs."""


def cpu_of_children() -> float:
    """CPU seconds of all child processes so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def timed(arguments: list[str], folder: Path) -> Timing:
    """Run a command in an empty folder and measure it."""
    started, before = time.perf_counter(), cpu_of_children()
    run = subprocess.run([*SNAKEMAKE, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    jobs = re.search(r"^total +(\d+)", run.stdout, re.M)
    return Timing(time.perf_counter() - started, cpu_of_children() - before, int(jobs[1]) if jobs else 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        measured = [
            {name: timed(arguments, Path(folder)) for name, arguments in COMMANDS.items()} for _ in range(rounds)
        ]
    floor = statistics.median(row["snakemake --version"].wall for row in measured)
    print(f"{'plan':24}{'jobs':>8}{'median s':>10}{'least':>8}{'largest':>9}{'CPU s':>8}{'ratio':>8}   n = {rounds}")
    for name in COMMANDS:
        wall = [row[name].wall for row in measured]
        cpu = statistics.median(row[name].cpu for row in measured)
        median = statistics.median(wall)
        print(
            f"{name:24}{measured[0][name].jobs:>8}{median:>10.2f}{min(wall):>8.2f}{max(wall):>9.2f}"
            f"{cpu:>8.2f}{median / floor:>8.2f}"
        )


if __name__ == "__main__":
    main()
