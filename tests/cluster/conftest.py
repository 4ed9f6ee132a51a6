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
"""What is waited for a job to do: scheduling, two starts of Snakemake and imports in the image, on a slow machine."""
SNAKEMAKE = ("env", "--default-signal=INT", sys.executable, "-m", "snakemake")
"""Ctrl-C reaches it though these tests may run in the background of a shell, where SIGINT is ignored."""
IMAGE_OPTIONS = "--cleanenv --containall --bind /tmp --add-caps CAP_SETFCAP"
"""As in the profile; the capability is what root alone needs for the verifiers' sandbox (docs/verifiers.md)."""
ACCOUNT_LINE = re.compile(r"^  slurm_account: .*\n", re.M)


@dataclass(frozen=True)
class Background:
    """A Snakemake that runs meanwhile."""

    process: subprocess.Popen[str]
    log: Path

    def said(self) -> str:
        return self.log.read_text()

    def until(self, what: str, found: Callable[[], T]) -> T:
        """What `found` gives once it is true. Fails where Snakemake has ended before, or it takes too long."""

        def alive() -> T:
            value = found()
            assert value or self.process.poll() is None, f"Snakemake ended before {what}:\n{self.said()[-8000:]}"
            return value

        return wait_for(what, alive)

    def finish(self) -> None:
        """Wait for its end, which must be a good one."""
        assert self.process.wait(timeout=JOB_SECONDS) == 0, self.said()[-8000:]

    def interrupt(self) -> None:
        """Ctrl-C, which cancels its jobs."""
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
        """All that Snakemake says on the login node, run to its end, with another PATH where one is given."""
        return self._finished([*arguments, "--profile", "slurm", *small(overlay)], check, path)

    def run_locally(self, *targets: str) -> str:
        """Make targets on this machine, in the same images."""
        options = ["--cores", "2", "--software-deployment-method", "apptainer", f"--apptainer-args={IMAGE_OPTIONS}"]
        return self._finished([*targets, *options, *small(None)], check=True)

    @contextmanager
    def started(self, *arguments: str, overlay: str | None = None) -> Iterator[Background]:
        """Snakemake on the login node, in the background; it has ended afterwards, and its jobs with it."""
        command = [*SNAKEMAKE, *arguments, "--profile", "slurm", *small(overlay)]
        said = self.root / "snakemake.log"
        with said.open("w") as log, commands.started(command, self.root, slurm.environment(), log, log) as process:
            yield Background(process, said)

    def planned(self, *targets: str) -> set[str]:
        """Rules of which a job would run."""
        table = re.search(r"^job +count\n-+ +-+\n(.*?)^total", self.snakemake(*targets, "--dry-run"), re.M | re.S)
        return {line.split()[0] for line in table[1].splitlines()} if table else set()

    def reached(self) -> int:
        """The last step of which an unfinished training has a complete checkpoint."""
        found = self.root.glob("work/*/checkpoints/checkpoint-*/complete")
        return max((int(file.parent.name.rpartition("-")[2]) for file in found), default=0)

    @contextmanager
    def edited_profile(self, changes: dict[str, str]) -> Iterator[None]:
        """The profile with other texts in place of some, for a while."""
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
        said = done.stdout + done.stderr
        assert not check or done.returncode == 0, said[-8000:]
        return said


def small(overlay: str | None) -> list[str]:
    """The tests' size and images, as options; they take all words that follow, so they stand last."""
    overlays = [str(OVERLAY), *([overlay] if overlay else [])]
    return ["--configfile", *overlays, "--config", "scale=tiny", f"image_base={machine.BASE}"]


def wait_for(what: str, found: Callable[[], T]) -> T:
    """What `found` gives once it is true. Fails when that takes too long."""
    deadline = time.monotonic() + JOB_SECONDS
    while not (value := found()):
        if time.monotonic() > deadline:
            pytest.fail(f"waited {JOB_SECONDS} s in vain for {what}")
        time.sleep(0.5)
    return value


def jobs(pattern: str = "") -> list[dict[str, str]]:
    """The cluster's jobs whose rule matches, past ones too, the oldest first."""
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
    """A folder for PATH with what Snakemake needs, and no command of SLURM's."""
    for command in ("env", "apptainer", "bash", "sh", "git", "which"):
        found = shutil.which(command, path=slurm.environment()["PATH"])
        if found:
            (tmp_path / command).symlink_to(found)
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
