"""The cluster, its images and a checkout of the project in which Snakemake runs on them."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

from scripts.common.artifacts import read_json, run_path
from scripts.containers.images import identity
from tests.cluster import commands, machine, slurm
from tests.cluster.clock import phase
from tests.conftest import ROOT, copy_of_the_project

T = TypeVar("T")

OVERLAY = Path(__file__).with_name("cluster.yaml")
IMAGES = machine.FOLDER / "images"
ENVIRONMENTS = ("cpu", "data")
BUILD_SECONDS = 2400
RUN_SECONDS = 1500
JOB_SECONDS = 900
"""Longest wait for a job: scheduling, two starts of Snakemake and imports in the image, on a slow machine."""
SNAKEMAKE = ("env", "--default-signal=INT", sys.executable, "-m", "snakemake")
"""Snakemake with SIGINT restored: a shell that runs these tests in the background makes them ignore it."""
IMAGE_OPTIONS = "--cleanenv --containall --bind /tmp --add-caps CAP_SETFCAP"
"""As in the profile; only root needs the capability, for the verifiers' sandbox (docs/verifiers.md)."""
ACCOUNT_LINE = re.compile(r"^  slurm_account: .*\n", re.M)


@dataclass(frozen=True)
class Background:
    """A Snakemake that runs in the background."""

    process: subprocess.Popen[str]
    log: Path

    def output(self) -> str:
        return self.log.read_text()

    def until(self, event: str, condition: Callable[[], T]) -> T:
        """Wait for a true value of `condition` and return it. Fails if Snakemake ends before, or after JOB_SECONDS."""

        def alive() -> T:
            value = condition()
            assert value or self.process.poll() is None, f"Snakemake ended before {event}:\n{self.output()[-8000:]}"
            return value

        return wait_for(event, alive)

    def finish(self) -> None:
        """Wait for its end, which must be successful."""
        assert self.process.wait(timeout=JOB_SECONDS) == 0, self.output()[-8000:]

    def interrupt(self) -> None:
        """Send Ctrl-C, which cancels its jobs, and wait for its end."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=JOB_SECONDS)


@dataclass(frozen=True)
class Site:
    """A user's checkout on the login node."""

    root: Path

    @property
    def profile(self) -> Path:
        return self.root / "slurm" / "profile.yaml"

    def snakemake(
        self, *arguments: str, overlay: str | None = None, check: bool = True, path: Path | None = None
    ) -> str:
        """Run Snakemake on the login node to its end and return its output; `path` replaces PATH."""
        return self._finished([*arguments, "--profile", "slurm", *small(overlay)], check, path)

    def run_locally(self, *targets: str) -> str:
        """Make targets on this machine, in the same images."""
        options = ["--cores", "2", "--software-deployment-method", "apptainer", f"--apptainer-args={IMAGE_OPTIONS}"]
        return self._finished([*targets, *options, *small(None)], check=True)

    @contextmanager
    def started(self, *arguments: str, overlay: str | None = None) -> Iterator[Background]:
        """Run Snakemake on the login node in the background; when the block ends, it and its jobs end."""
        command = [*SNAKEMAKE, *arguments, "--profile", "slurm", *small(overlay)]
        file = self.root / "snakemake.log"
        with file.open("w") as log, commands.started(command, self.root, slurm.environment(), log, log) as process:
            yield Background(process, file)

    def planned(self, *targets: str) -> set[str]:
        """Rules with at least one planned job."""
        table = re.search(r"^job +count\n-+ +-+\n(.*?)^total", self.snakemake(*targets, "--dry-run"), re.M | re.S)
        return {line.split()[0] for line in table[1].splitlines()} if table else set()

    def reached(self) -> int:
        """Step of the last complete checkpoint of an unfinished training; 0 if there is none."""
        files = self.root.glob("work/*/checkpoints/checkpoint-*/complete")
        return max((int(file.parent.name.rpartition("-")[2]) for file in files), default=0)

    @contextmanager
    def edited_profile(self, changes: dict[str, str]) -> Iterator[None]:
        """Replace texts of the profile inside the block."""
        before = self.profile.read_text()
        after = before
        for old, new in changes.items():
            assert old in after
            after = after.replace(old, new)
        self.profile.write_text(after)
        try:
            yield
        finally:
            self.profile.write_text(before)

    def _finished(self, arguments: list[str], check: bool, path: Path | None = None) -> str:
        environment = slurm.environment() | ({"PATH": str(path)} if path else {})
        done = commands.finished([*SNAKEMAKE, *arguments], RUN_SECONDS, self.root, environment)
        output = done.stdout + done.stderr
        assert not check or done.returncode == 0, output[-8000:]
        return output


def small(overlay: str | None) -> list[str]:
    """Options for the tests' size and images. They consume all words that follow, so they must be last."""
    overlays = [str(OVERLAY), *([overlay] if overlay else [])]
    return ["--configfile", *overlays, "--config", "scale=tiny", f"image_base={machine.BASE}"]


def wait_for(event: str, condition: Callable[[], T]) -> T:
    """Wait for a true value of `condition` and return it. Fails after JOB_SECONDS."""
    deadline = time.monotonic() + JOB_SECONDS
    while not (value := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"waited {JOB_SECONDS} s in vain for {event}")
        time.sleep(0.5)
    return value


def jobs(pattern: str = "") -> list[dict[str, str]]:
    """The cluster's jobs, also past ones, whose rule matches; the oldest first."""
    columns = ("id", "partition", "state", "nodes", "memory", "walltime", "rule")
    command = ("squeue", "--states=all", "--noheader", "--format=%i|%P|%T|%N|%m|%l|%k")
    listed = commands.run(*command, seconds=slurm.COMMAND_SECONDS)
    rows = [dict(zip(columns, line.split("|"), strict=True)) for line in listed.splitlines()]
    return sorted((row for row in rows if re.search(pattern, row["rule"])), key=lambda row: int(row["id"]))


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A fresh checkout whose profile is edited as docs/cluster.md says."""
    site = Site(copy_of_the_project(tmp_path_factory.mktemp("site") / "nebulaexp").root)
    shutil.copytree(ROOT / "slurm", site.root / "slurm")
    profile = ACCOUNT_LINE.sub("", site.profile.read_text())
    profile = profile.replace("slurm-status-command: sacct", "slurm-status-command: squeue\nslurm-no-account: true")
    profile = profile.replace("--cleanenv --containall --bind /tmp", IMAGE_OPTIONS)
    profile = profile.replace("jobs: 100 ", "jobs: 4 ").replace("TERM@180", "TERM@30")
    profile += "slurm-init-seconds-before-status-checks: 3\n"
    site.profile.write_text(profile)
    return site


@pytest.fixture(scope="session")
def images(site: Site) -> Path:
    """The images, built by the project's own rule and kept for the next session where locks are the same."""
    IMAGES.mkdir(exist_ok=True)
    folder = site.root / "containers"
    kept = [IMAGES / f"{environment}.sif" for environment in ENVIRONMENTS]
    stale = [image for image in kept if not _is_current(image)]
    _put([image for image in kept if image not in stale], folder)
    if stale:
        try:
            with phase("images"):
                _build(site)
        finally:
            for image in stale:
                made = folder / image.name
                if run_path(made).is_file():  # as those do that were finished before another failed
                    shutil.move(made, image)
                    shutil.move(run_path(made), run_path(image))
        _put(stale, folder)
    return folder


def _put(images: Iterable[Path], folder: Path) -> None:
    for image in images:
        (folder / image.name).symlink_to(image)
        shutil.copy2(run_path(image), folder)


@pytest.fixture
def without_slurm(tmp_path: Path) -> Path:
    """A folder for PATH with the programs that Snakemake needs, without SLURM's commands."""
    for command in ("env", "apptainer", "bash", "sh", "git", "which"):
        program = shutil.which(command, path=slurm.environment()["PATH"])
        if program:
            (tmp_path / command).symlink_to(program)
    return tmp_path


def _is_current(image: Path) -> bool:
    record = run_path(image)
    if not image.is_file() or not record.is_file():
        return False
    return read_json(record)["recipe"]["environment"] == identity(image.stem, contained=True)


def _build(site: Site) -> None:
    """As a user without rights builds: in a user namespace, here also because root may lack a capability."""
    command = ["unshare", "--map-root-user", sys.executable, "-m", "snakemake", "containers", "--profile", "slurm"]
    with tempfile.TemporaryDirectory() as scratch:  # where a build that is killed would leave its files
        settings = {"APPTAINER_TMPDIR": scratch, "APPTAINER_MKSQUASHFS_ARGS": "-comp zstd -Xcompression-level 1"}
        commands.run(*command, *small(None), seconds=BUILD_SECONDS, folder=site.root, **slurm.environment(), **settings)
