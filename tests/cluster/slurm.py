"""The cluster itself: munge, a controller and three nodes on loopback, two of them with eight pretended GPUs."""

from __future__ import annotations

import os
import signal
import socket
import stat
import time
from contextlib import suppress
from pathlib import Path

from tests.cluster.commands import CommandError, run
from tests.cluster.machine import APPTAINER, FOLDER, Unfit

STATE = FOLDER / "state"
CONFIG = FOLDER / "etc" / "slurm.conf"
GRES = CONFIG.with_name("gres.conf")
SYSTEM = Path("/etc/slurm")
"""Where SLURM's commands look: jobs of Snakemake lose SLURM_CONF, so links from there lead to the files here."""
CLUSTER = "nebula"
NODES = {"cpu1": 0, "gpu1": 8, "gpu2": 8}
"""GPUs by node."""
CONTROLLER_PORT, NOBODYS_PORT, FIRST_NODE_PORT = 16817, 16819, 16820
COMMAND_SECONDS = 60
START_SECONDS = 120
STOP_SECONDS = 60
DAEMONS = ("munged", "slurmctld", "slurmd")

# CPUs and memory are pretended (config_overrides), and what takes more memory than it asked for is killed. SIGKILL
# follows SIGTERM after KillWait seconds; a requeued job waits until its credential has expired (cred_expire, seconds).
# A node that is taken out of service stays out (ReturnToService). Partition `far` is of a host that does not exist.
SLURM_CONF = """\
ClusterName={cluster}
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={state}/munge.socket,cred_expire=30
CryptoType=crypto/munge
StateSaveLocation={state}/controller
SlurmdSpoolDir={state}/%n
SlurmctldPidFile={state}/slurmctld.pid
SlurmdPidFile={state}/slurmd-%n.pid
SlurmctldLogFile={state}/slurmctld.log
SlurmdLogFile={state}/slurmd-%n.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
MpiDefault=none
ReturnToService=1
KillWait=10
MinJobAge=600
SchedulerParameters=sched_interval=2,bf_interval=2
PartitionName=cpu Nodes=cpu1 Default=YES MaxTime=50 State=UP
PartitionName=gpu Nodes=gpu[1-2] MaxTime=1-00:00:00 State=UP
PartitionName=far Nodes=far1 MaxTime=60 State=UP
NodeName=far1 NodeHostname=elsewhere NodeAddr=127.0.0.1 Port={nobody} CPUs=64 RealMemory=512000 State=DOWN
"""


def environment() -> dict[str, str]:
    """This process's environment, with Apptainer on PATH."""
    return {**os.environ, "PATH": f"{APPTAINER}/root/usr/bin{os.pathsep}{os.environ['PATH']}"}


def configure() -> None:
    """Write slurm.conf, gres.conf, the devices that stand for GPUs, and munge's key."""
    for folder in (CONFIG.parent, STATE / "controller", *(STATE / name for name in NODES)):
        folder.mkdir(parents=True, exist_ok=True)
    lines = [
        SLURM_CONF.format(
            cluster=CLUSTER, host=socket.gethostname(), state=STATE, port=CONTROLLER_PORT, nobody=NOBODYS_PORT
        )
    ]
    for number, (name, gpus) in enumerate(NODES.items()):
        gres = f" Gres=gpu:{gpus}" if gpus else ""
        lines.append(
            f"NodeName={name} NodeHostname={socket.gethostname()} NodeAddr=127.0.0.1 Port={FIRST_NODE_PORT + number}"
            f" CPUs=64 RealMemory=512000{gres} State=UNKNOWN\n"
        )
    CONFIG.write_text("".join(lines))
    devices = FOLDER / "dev"
    devices.mkdir(exist_ok=True)
    for number in range(max(NODES.values())):
        device = devices / f"gpu{number}"
        if not device.exists():
            os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    named = ",".join(name for name, gpus in NODES.items() if gpus)
    GRES.write_text(f"NodeName={named} Name=gpu File={devices}/gpu[0-7]\n")
    for file in (CONFIG, GRES):
        link(file)
    key = FOLDER / "etc" / "munge.key"
    if not key.exists():
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(128))


def link(file: Path) -> None:
    """Let SLURM's commands find a file, unless this machine has a cluster of its own."""
    place = SYSTEM / file.name
    if place.exists() and place.resolve() != file.resolve():
        raise Unfit(f"{place} is {place.resolve()}: this machine has another SLURM, which must not be touched")
    if not place.is_symlink():
        SYSTEM.mkdir(exist_ok=True)
        place.symlink_to(file)


def unlink(file: Path) -> None:
    """Undo `link`; what another cluster has there stays."""
    place = SYSTEM / file.name
    if place.resolve() == file.resolve():
        place.unlink(missing_ok=True)


def start() -> None:
    """Start the daemons that do not run, the controller without memory of older jobs; wait until every node is idle."""
    configure()
    STATE.chmod(0o755)
    if not _runs("munged.pid"):
        run(
            "munged",
            f"--key-file={FOLDER}/etc/munge.key",
            f"--socket={STATE}/munge.socket",
            f"--pid-file={STATE}/munged.pid",
            f"--log-file={STATE}/munged.log",
            f"--seed-file={STATE}/munged.seed",
            seconds=START_SECONDS,
        )
    if not _runs("slurmctld.pid"):
        run("slurmctld", "-c", "-f", str(CONFIG), seconds=START_SECONDS)
    for name in NODES:
        if not _runs(f"slurmd-{name}.pid"):
            run("slurmd", "-N", name, "-f", str(CONFIG), seconds=START_SECONDS)
    _wait_for("every node to be idle", START_SECONDS, _all_idle)


def stop() -> None:
    """Cancel what still runs, then end the daemons that `start` started, by their process ids."""
    if _runs("slurmctld.pid"):
        with suppress(CommandError):  # what cannot be cancelled is killed below
            run("scancel", "--user=root", seconds=COMMAND_SECONDS)
            _wait_for(
                "the last job to end",
                STOP_SECONDS,
                lambda: not run("squeue", "--noheader", seconds=COMMAND_SECONDS).strip(),
            )
    started = sorted(STATE.glob("*.pid"), reverse=True)  # slurmd, slurmctld, munged
    for file in started:
        _end(file)
    for pid in _strays() if started else ():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for file in (CONFIG, GRES):
        unlink(file)


def set_state(nodes: str, state: str) -> None:
    """Take nodes out of service (`down`), or back into it (`resume`)."""
    run("scontrol", "update", f"nodename={nodes}", f"state={state}", "reason=test", seconds=COMMAND_SECONDS)


def cancel(job: str) -> None:
    run("scancel", job, seconds=COMMAND_SECONDS)


def end_soon(job: str) -> None:
    """Shorten a running job's walltime to one to two minutes from now; SIGTERM comes up to a minute before."""
    elapsed = run("squeue", "--noheader", "--format=%M", "--jobs", job, seconds=COMMAND_SECONDS).strip()
    hours, minutes, _ = f"0:0:{elapsed}".split(":")[-3:]
    limit = int(hours) * 60 + int(minutes) + 2
    run("scontrol", "update", f"jobid={job}", f"timelimit={limit}", seconds=COMMAND_SECONDS)


def _all_idle() -> bool:
    try:
        command = ("sinfo", "--Node", "--noheader", "--format=%T", "--nodes", ",".join(NODES))
        states = run(*command, seconds=COMMAND_SECONDS).split()
    except CommandError:
        return False
    return len(states) == len(NODES) and set(states) == {"idle"}


def _wait_for(what: str, seconds: float, done) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise CommandError(f"waited {seconds} s in vain for {what}; logs are in {STATE}")
        time.sleep(0.5)


def _strays() -> list[int]:
    """Processes of this cluster's jobs that outlived them: a lost node's are tracked by their parents alone."""
    mark = f"SLURM_CLUSTER_NAME={CLUSTER}".encode()
    processes = []
    for file in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):  # it ended meanwhile
            if mark in file.read_bytes().split(b"\0"):
                processes.append(int(file.parent.name))
    return processes


def _pid(name: str) -> int | None:
    """The process of a pid file, if it is still one of the daemons."""
    try:
        pid = int((STATE / name).read_text())
        return pid if Path(f"/proc/{pid}/comm").read_text().strip() in DAEMONS else None
    except (FileNotFoundError, ValueError):
        return None


def _runs(name: str) -> bool:
    return _pid(name) is not None


def _end(file: Path) -> None:
    pid = _pid(file.name)
    if pid is not None:
        os.kill(pid, signal.SIGTERM)
        try:
            _wait_for(f"{file.stem} to end", STOP_SECONDS, lambda: not _runs(file.name))
        except CommandError as hangs:
            print(f"{hangs}: it is killed", flush=True)
            os.kill(pid, signal.SIGKILL)
    file.unlink(missing_ok=True)
