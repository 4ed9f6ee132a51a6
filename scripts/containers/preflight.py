"""Checks before the first job starts: each problem is one line that names the fix."""

from __future__ import annotations

import math
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from functools import cache
from pathlib import Path

from scripts.common.spelling import close_matches
from scripts.containers import images

PROFILE = "slurm/profile.yaml"
LOCAL_FILESYSTEMS = frozenset({"ext2/ext3", "xfs", "btrfs", "tmpfs", "ramfs", "overlayfs"})
KERNELS = {
    "flash_attention_2": "kernels-community/flash-attn2",
    "flash_attention_3": "kernels-community/vllm-flash-attn3",
}
"""Repositories of the attention kernels that transformers fetches, because no package of the lock has them."""
QUERY_SECONDS = 60
"""Seconds after which a cluster's controller that does not answer is reported."""
NO_ACCOUNTING = frozenset({"accounting_storage/none", "(null)"})
"""AccountingStorageType of a cluster without accounting, before SLURM 23.11 and since."""
REFUSALS = {
    "Invalid account": f"set slurm_account in {PROFILE}; `sacctmgr show associations user=$USER` lists yours",
    "Invalid qos": f"set qos in {PROFILE}",
    "Invalid feature": f"set gpu_constraint in {PROFILE}; `sinfo --format=%f` lists what nodes have",
    "Invalid generic resource": f"set gpu_model in {PROFILE}; `sinfo --format=%G` lists the GPUs",
    "Requested node configuration is not available": "no node of the partition has that much: lower its step's gpus, "
    f"nodes, cpus or memory_gb in the scale's resources, or set another partition in {PROFILE}",
}
"""Messages of `sbatch` for a job that it would never accept, and the fix. Nodes that are down or busy are not here."""


@dataclass(frozen=True)
class JobRequest:
    """The resources that a rule's job requests: options of `sbatch` by name."""

    rule: str
    options: tuple[tuple[str, str], ...]

    @property
    def partition(self) -> str:
        """Name of the partition."""
        return dict(self.options)["partition"]

    @property
    def minutes(self) -> int:
        """Walltime."""
        return int(dict(self.options)["time"])


@dataclass
class Partition:
    """A partition of the cluster, from `sinfo`."""

    minutes: float
    """Longest walltime; infinite if there is no limit."""
    hosts: set[str]


def image_problems(environments: Iterable[str], apptainer: bool) -> list[str]:
    """Images that are missing or were built from another lock, and jobs that would run without their image."""
    names = sorted(environments)
    if names and not apptainer:
        return ["containers: true, but Snakemake runs jobs without images: add --software-deployment-method apptainer"]
    return [problem for name in names if (problem := images.problem(name))]


def kernel_problems(attentions: Iterable[str]) -> list[str]:
    """Attention kernels that transformers would fetch from the hub when a training starts, in a job without network.

    The package `kernels` reads the variable `LOCAL_KERNELS`: repository=folder, several separated by colons.
    """
    folders = dict(entry.split("=", 1) for entry in os.environ.get("LOCAL_KERNELS", "").split(":") if "=" in entry)
    return [
        f"attention {attention} needs the kernel {repository}, and jobs have no network: `hf download {repository} "
        f"--repo-type kernel --local-dir FOLDER` on the shared disk and `export LOCAL_KERNELS={repository}=FOLDER`, "
        "or set `attention: sdpa` in the scale's trainings"
        for attention, repository in sorted(KERNELS.items())
        if attention in set(attentions) and not Path(folders.get(repository, "."), "build").is_dir()
    ]


def disk_problems(folder: Path, needed_gb: int) -> list[str]:
    """Too little free space for the artifacts that the scale still has to make."""
    free = shutil.disk_usage(_existing(folder)).free
    missing = needed_gb * 10**9 - free
    if missing <= 0 or missing <= _size(folder):
        return []
    return [
        f"{folder} has {free / 1e9:.0f} GB free and the scale needs {needed_gb}: make room, link the folder to a "
        "larger file system, or lower disk_gb in the scale's file"
    ]


def slurm_problems(requests: Iterable[JobRequest], status_command: str, folder: Path) -> list[str]:
    """What would stop the jobs on this cluster.

    SLURM is missing, a partition is unknown or too short, accounting is used but not kept, SLURM would reject a job, or
    `folder` is not visible to the nodes.
    """
    if shutil.which("sbatch") is None:
        return ["sbatch is not on PATH: start on a login node of the cluster, or leave out --profile slurm"]
    jobs, known = sorted(set(requests), key=astuple), partitions()
    problems = [
        f"partition {name!r} does not exist here ({close_matches(name, known)}): set it in {PROFILE}"
        for name in sorted({job.partition for job in jobs} - set(known))
    ]
    problems += [
        f"{job.rule} asks for {job.minutes} minutes, but {job.partition!r} allows {known[job.partition].minutes}: "
        f"lower its step's minutes in the scale's resources, or set another partition in {PROFILE}"
        for job in jobs
        if job.partition in known and job.minutes > known[job.partition].minutes
    ]
    accounts = {account for job in jobs if (account := dict(job.options).get("account"))}
    problems += accounting_problems(accounts, status_command)
    problems += refusals(job for job in jobs if job.partition in known)
    hosts = {host for job in jobs if job.partition in known for host in known[job.partition].hosts}
    return problems + sharing_problems([Path.cwd(), folder], hosts)


def accounting_problems(accounts: Iterable[str], status_command: str) -> list[str]:
    """Settings of the profile that need accounting, on a cluster that keeps none."""
    storage = re.search(r"^AccountingStorageType\s*= (\S+)", _output("scontrol", "show", "config"), re.M)
    if storage is None or storage[1] not in NO_ACCOUNTING:
        return []
    problems = [
        f"slurm_account {account!r} cannot be charged, since this cluster keeps no accounting: "
        f"leave it out of {PROFILE} and add slurm-no-account: true"
        for account in sorted(accounts)
    ]
    if status_command == "sacct":
        problems.append(
            "slurm-status-command: sacct would never see a job end, since this cluster keeps no accounting: "
            f"set squeue in {PROFILE}"
        )
    return problems


def refusals(jobs: Iterable[JobRequest]) -> list[str]:
    """SLURM's own messages for jobs that it would never accept; a setting of the profile is named once."""
    problems: dict[str, str] = {}
    for job in jobs:
        for line in _refusal(job.options).splitlines():
            for fault, fix in REFUSALS.items():
                if fault in line:
                    problems.setdefault(fault if fix.startswith("set ") else job.rule, f"{job.rule}: {line}: {fix}")
    return list(problems.values())


@cache
def _refusal(options: tuple[tuple[str, str], ...]) -> str:
    """The message of `sbatch --test-only` for a job that it would reject; empty if it would accept the job."""
    run = _query("sbatch", "--test-only", "--wrap=true", *(f"--{name}={value}" for name, value in options))
    return run.stderr if run.returncode else ""


def sharing_problems(folders: Iterable[Path], hosts: Iterable[str]) -> list[str]:
    """The first of the folders that is on a disk of this machine, if jobs run on other hosts."""
    others = sorted({_short(host) for host in hosts} - {_short(socket.gethostname())})
    for folder in folders if others else ():
        existing = _existing(folder).resolve()
        command = ["stat", "--file-system", "--format", "%T", str(existing)]
        kind = subprocess.run(command, capture_output=True, text=True).stdout.strip()
        if kind in LOCAL_FILESYSTEMS and not _exported(existing):
            return [
                f"{folder} is on a disk of this machine ({kind}) that node {others[0]} does not see: "
                "move it to the file system that the nodes share"
            ]
    return []


@cache
def partitions() -> dict[str, Partition]:
    """The cluster's partitions by name."""
    known: dict[str, Partition] = {}
    for line in _output("sinfo", "--noheader", "--format=%R|%l|%n").split():
        name, limit, host = line.split("|")
        known.setdefault(name, Partition(_minutes(limit), set())).hosts.add(host)
    return known


def _minutes(limit: str) -> float:
    """Minutes of a walltime as SLURM prints it: `infinite`, `2-12:00:00`, `12:00:00` or `30:00`."""
    days, _, clock = limit.rpartition("-")
    fields = clock.split(":")
    if not all(field.isdecimal() for field in fields):
        return math.inf
    hours, minutes = (["0", *fields])[-3:-1]
    return (int(days or 0) * 24 + int(hours)) * 60 + int(minutes)


def _short(host: str) -> str:
    """The host's name without its domain."""
    return host.partition(".")[0]


def _exported(folder: Path) -> bool:
    """Whether this machine's NFS server exports the folder."""
    table = Path("/var/lib/nfs/etab")
    exports = {line.partition("\t")[0] for line in table.read_text().splitlines()} if table.is_file() else set()
    return any(str(path) in exports for path in [folder, *folder.parents])


def _existing(folder: Path) -> Path:
    """The folder, or its nearest parent that exists."""
    return next(path for path in [folder, *folder.absolute().parents] if path.exists())


def _output(*command: str) -> str:
    """Standard output of one of SLURM's commands; the end of the run if it fails."""
    run = _query(*command)
    if run.returncode:
        raise SystemExit(f"{command[0]} failed ({_last_line(run.stderr)}): is slurmctld running?")
    return run.stdout


def _query(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=QUERY_SECONDS)
    except subprocess.TimeoutExpired:
        raise SystemExit(f"{command[0]} gave no answer in {QUERY_SECONDS} s: is slurmctld running?") from None


def _last_line(message: str) -> str:
    return (message.strip() or "no reason given").splitlines()[-1]


def _size(folder: Path) -> int:
    """Bytes of all files in the folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
