"""What can be known to be wrong before the first job starts: each problem one line that names the fix."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterable
from pathlib import Path

from scripts.common.config import close_matches
from scripts.containers import images

PROFILE = "slurm/profile.yaml"
LOCAL_FILESYSTEMS = frozenset({"ext2/ext3", "xfs", "btrfs", "tmpfs", "ramfs", "overlayfs"})
QUERY_SECONDS = 60
"""A cluster's controller that has not answered by then is a problem of its own."""


def image_problems(environments: Iterable[str], apptainer: bool) -> list[str]:
    """Images that are missing or stand for another lock, and jobs that would run outside of theirs."""
    names = sorted(environments)
    if names and not apptainer:
        return [
            "containers: true, but Snakemake runs jobs outside of images: add --software-deployment-method apptainer"
        ]
    return [problem for name in names if (problem := images.problem(name))]


def disk_problems(folder: Path, needed_gb: int) -> list[str]:
    """Too little free space for what the scale still has to make."""
    existing = next(path for path in [folder, *folder.absolute().parents] if path.exists())
    free = shutil.disk_usage(existing).free
    missing = needed_gb * 10**9 - free
    if missing <= 0 or missing <= _size(folder):
        return []
    return [
        f"{folder} has {free / 1e9:.0f} GB free and the scale needs {needed_gb}: make room, link the folder to a "
        "larger file system, or lower disk_gb in the scale's file"
    ]


def slurm_problems(partitions: Iterable[str]) -> list[str]:
    """No SLURM here, or no such partition."""
    if shutil.which("sbatch") is None:
        return ["sbatch is not on PATH: start on a login node of the cluster, or leave out --profile slurm"]
    known = {name.rstrip("*") for name in _sinfo("%P")}
    return [
        f"partition {name!r} does not exist here ({close_matches(name, known)}): set it in {PROFILE}"
        for name in sorted(set(partitions) - known)
    ]


def sharing_warning(folder: Path) -> str | None:
    """A hint where results lie on a file system that other machines are unlikely to see."""
    hosts = set(_sinfo("%n"))
    if hosts <= {socket.gethostname()}:
        return None
    command = ["stat", "--file-system", "--format", "%T", str(folder if folder.exists() else Path.cwd())]
    kind = subprocess.run(command, capture_output=True, text=True).stdout.strip()
    if kind not in LOCAL_FILESYSTEMS:
        return None
    return f"{folder} lies on {kind}, which the nodes may not share: run from a folder of the shared file system"


def _sinfo(column: str) -> list[str]:
    command = ["sinfo", "--noheader", f"--format={column}"]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=QUERY_SECONDS)
    except subprocess.TimeoutExpired:
        raise SystemExit(f"sinfo gave no answer in {QUERY_SECONDS} s: is slurmctld running?") from None
    if run.returncode:
        raise SystemExit(f"sinfo failed ({run.stderr.strip()}): is slurmctld running?")
    return run.stdout.split()


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
