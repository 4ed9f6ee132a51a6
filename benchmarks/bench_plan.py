"""Seconds until a plan is drawn, beside Snakemake's own start.

    python -m benchmarks.bench_plan [--rounds 3]

Each round runs every command once; a row gives the median, the least and the largest of wall seconds, and the ratio of
the median to that of `snakemake --version`, which no plan can undercut.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
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


def timed(arguments: list[str], folder: Path) -> tuple[float, int]:
    """Wall seconds of a command in an empty folder, and the jobs that it plans."""
    started = time.perf_counter()
    run = subprocess.run([*SNAKEMAKE, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    jobs = re.search(r"^total +(\d+)", run.stdout, re.M)
    return time.perf_counter() - started, int(jobs[1]) if jobs else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        measured = [
            {name: timed(arguments, Path(folder)) for name, arguments in COMMANDS.items()} for _ in range(rounds)
        ]
    floor = statistics.median(row["snakemake --version"][0] for row in measured)
    print(f"{'plan':24}{'jobs':>8}{'median s':>10}{'least':>8}{'largest':>9}{'ratio':>8}   n = {rounds}")
    for name in COMMANDS:
        seconds = [row[name][0] for row in measured]
        median = statistics.median(seconds)
        print(
            f"{name:24}{measured[0][name][1]:>8}{median:>10.2f}{min(seconds):>8.2f}{max(seconds):>9.2f}"
            f"{median / floor:>8.2f}"
        )


if __name__ == "__main__":
    main()
