"""What can be known to be wrong before the first job starts: each problem one line that names the fix."""

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
"""Where transformers finds the attention that no package of the lock brings."""
QUERY_SECONDS = 60
"""A cluster's controller that has not answered by then is a problem of its own."""
NO_ACCOUNTING = frozenset({"accounting_storage/none", "(null)"})
"""What SLURM says of its accounting where there is none, before 23.11 and since."""
REFUSALS = {
    "Invalid account": f"set slurm_account in {PROFILE}; `sacctmgr show associations user=$USER` lists yours",
    "Invalid qos": f"set qos in {PROFILE}",
    "Invalid feature": f"set gpu_constraint in {PROFILE}; `sinfo --format=%f` lists what nodes have",
    "Invalid generic resource": f"set gpu_model in {PROFILE}; `sinfo --format=%G` lists the GPUs",
    "Requested node configuration is not available": "no node of the partition has that much: lower its step's gpus, "
    f"nodes, cpus or memory_gb in the scale's resources, or set another partition in {PROFILE}",
}
"""What `sbatch` says of a job that it would never take, and the fix. Nodes that are down or busy are no reason."""


@dataclass(frozen=True)
class Asked:
    """What a rule's jobs ask the cluster for: options of `sbatch` by name."""

    rule: str
    options: tuple[tuple[str, str], ...]

    @property
    def partition(self) -> str:
        return dict(self.options)["partition"]

    @property
    def minutes(self) -> int:
        return int(dict(self.options)["time"])


@dataclass
class Partition:
    """What `sinfo` says of a partition."""

    minutes: float
    hosts: set[str]


def image_problems(environments: Iterable[str], apptainer: bool) -> list[str]:
    """Images that are missing or stand for another lock, and jobs that would run outside of theirs."""
    names = sorted(environments)
    if names and not apptainer:
        return [
            "containers: true, but Snakemake runs jobs outside of images: add --software-deployment-method apptainer"
        ]
    return [problem for name in names if (problem := images.problem(name))]


def kernel_problems(attentions: Iterable[str]) -> list[str]:
    """Attention kernels that transformers would fetch from the hub when a training starts, where there is no network.

    `LOCAL_KERNELS` is read by the package `kernels`: repository=folder, several with a colon between.
    """
    given = dict(entry.split("=", 1) for entry in os.environ.get("LOCAL_KERNELS", "").split(":") if "=" in entry)
    return [
        f"attention {attention} needs the kernel {repository}, and jobs have no network: `hf download {repository} "
        f"--repo-type kernel --local-dir FOLDER` on the shared disk and `export LOCAL_KERNELS={repository}=FOLDER`, "
        "or set `attention: sdpa` in the scale's trainings"
        for attention, repository in sorted(KERNELS.items())
        if attention in set(attentions) and not Path(given.get(repository, "."), "build").is_dir()
    ]


def disk_problems(folder: Path, needed_gb: int) -> list[str]:
    """Too little free space for what the scale still has to make."""
    free = shutil.disk_usage(_existing(folder)).free
    missing = needed_gb * 10**9 - free
    if missing <= 0 or missing <= _size(folder):
        return []
    return [
        f"{folder} has {free / 1e9:.0f} GB free and the scale needs {needed_gb}: make room, link the folder to a "
        "larger file system, or lower disk_gb in the scale's file"
    ]


def slurm_problems(asked: Iterable[Asked], status_command: str, folder: Path) -> list[str]:
    """No SLURM here, partitions that are unknown or allow less time than is asked for, accounting that is not kept,
    jobs that SLURM would not take, results out of nodes' reach."""
    if shutil.which("sbatch") is None:
        return ["sbatch is not on PATH: start on a login node of the cluster, or leave out --profile slurm"]
    jobs, known = sorted(set(asked), key=astuple), partitions()
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
    """Settings of the profile that suppose a cluster that keeps accounts, where it keeps none."""
    kept = re.search(r"^AccountingStorageType\s*= (\S+)", _ask("scontrol", "show", "config"), re.M)
    if kept is None or kept[1] not in NO_ACCOUNTING:
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


def refusals(jobs: Iterable[Asked]) -> list[str]:
    """What SLURM itself says of jobs that it would never take; a setting of the profile is named once."""
    problems: dict[str, str] = {}
    for job in jobs:
        for line in _refusal(job.options).splitlines():
            for fault, fix in REFUSALS.items():
                if fault in line:
                    problems.setdefault(fault if fix.startswith("set ") else job.rule, f"{job.rule}: {line}: {fix}")
    return list(problems.values())


@cache
def _refusal(options: tuple[tuple[str, str], ...]) -> str:
    """What `sbatch` says against a job that is tried, not submitted; nothing where it would be taken."""
    run = _query("sbatch", "--test-only", "--wrap=true", *(f"--{name}={value}" for name, value in options))
    return run.stderr if run.returncode else ""


def sharing_problems(folders: Iterable[Path], hosts: Iterable[str]) -> list[str]:
    """The first of the folders that lies on a disk of this machine, while jobs run on other hosts."""
    others = sorted({_short(host) for host in hosts} - {_short(socket.gethostname())})
    for folder in folders if others else ():
        existing = _existing(folder).resolve()
        command = ["stat", "--file-system", "--format", "%T", str(existing)]
        kind = subprocess.run(command, capture_output=True, text=True).stdout.strip()
        if kind in LOCAL_FILESYSTEMS and not _exported(existing):
            return [
                f"{folder} lies on a disk of this machine ({kind}) that node {others[0]} does not see: "
                "move it to the file system that the nodes share"
            ]
    return []


@cache
def partitions() -> dict[str, Partition]:
    """The cluster's partitions by name."""
    known: dict[str, Partition] = {}
    for line in _ask("sinfo", "--noheader", "--format=%R|%l|%n").split():
        name, limit, host = line.split("|")
        known.setdefault(name, Partition(_minutes(limit), set())).hosts.add(host)
    return known


def _minutes(limit: str) -> float:
    """Of a walltime as SLURM prints it: `infinite`, `2-12:00:00`, `12:00:00` or `30:00`."""
    days, _, clock = limit.rpartition("-")
    fields = clock.split(":")
    if not all(field.isdecimal() for field in fields):
        return math.inf
    hours, minutes = (["0", *fields])[-3:-1]
    return (int(days or 0) * 24 + int(hours)) * 60 + int(minutes)


def _short(host: str) -> str:
    return host.partition(".")[0]


def _exported(folder: Path) -> bool:
    """Whether this machine's NFS server shares the folder."""
    table = Path("/var/lib/nfs/etab")
    shared = {line.partition("\t")[0] for line in table.read_text().splitlines()} if table.is_file() else set()
    return any(str(path) in shared for path in [folder, *folder.parents])


def _existing(folder: Path) -> Path:
    return next(path for path in [folder, *folder.absolute().parents] if path.exists())


def _ask(*command: str) -> str:
    """What one of SLURM's commands answers."""
    run = _query(*command)
    if run.returncode:
        raise SystemExit(f"{command[0]} failed ({_last_line(run.stderr)}): is slurmctld running?")
    return run.stdout


def _query(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=QUERY_SECONDS)
    except subprocess.TimeoutExpired:
        raise SystemExit(f"{command[0]} gave no answer in {QUERY_SECONDS} s: is slurmctld running?") from None


def _last_line(said: str) -> str:
    return (said.strip() or "no reason given").splitlines()[-1]


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
