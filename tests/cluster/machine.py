"""A real SLURM and a real Apptainer on a Debian 12 machine, as root, installed once below one folder.

SLURM is Debian's own. Apptainer is in Debian's unstable suite alone, so its package is unpacked into the folder
together with the libraries of that suite and made to load those. Images are built on a debootstrapped base, without
a registry.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.commands import CommandError, run

FOLDER = Path(os.environ.get("NEBULA_CLUSTER_DIR", "/opt/nebula-cluster"))
APPTAINER = FOLDER / "apptainer"
BASE = FOLDER / "base"
PACKAGES = ("slurm-wlm", "munge", "squashfs-tools", "patchelf", "debootstrap")
SUITE = "sid"
FROM_SUITE = ("apptainer", "libc6", "libseccomp2", "libsqlite3-0")
BASE_PACKAGES = "ca-certificates,python3-venv"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
APT = ("apt-get", "-o", "Acquire::Retries=3")
POLICY = Path("/usr/sbin/policy-rc.d")
"""What Debian's packages ask before they start a service; 101 is no."""


class Unfit(RuntimeError):
    """This machine cannot run the cluster, for a reason outside the project; the message says why."""


def install() -> None:
    """Install everything that is not yet installed on this machine. Raises Unfit if that is not possible."""
    check_machine()
    install_packages()
    if not APPTAINER.exists():
        install_apptainer()
    if not BASE.exists():
        install_base()


def check_machine() -> None:
    """Raise Unfit, before the first download, if this machine cannot run the cluster."""
    if os.geteuid() != 0:
        raise Unfit("packages are installed and daemons started, and this is not root")
    system = Path("/etc/os-release").read_text()
    if not (re.search(r"^ID=debian$", system, re.M) and re.search(r'^VERSION_ID="12"$', system, re.M)):
        raise Unfit("Debian 12 is needed, whose SLURM is installed")
    if platform.machine() != "x86_64":
        raise Unfit(f"an x86_64 machine is needed, and this is {platform.machine()}")
    with tempfile.TemporaryDirectory() as folder, needed("device files and namespaces, which containers often lack"):
        run("mknod", f"{folder}/device", "c", "1", "3", seconds=10)
        run("unshare", "--map-root-user", "--mount", "--pid", "--fork", "true", seconds=10)


@contextmanager
def needed(what: str) -> Iterator[None]:
    """A command that fails within makes this machine unfit: it lacks `what`, as the command's last line says.

    For what a machine may well lack alone; whatever else fails is a failure, or the tests would be skipped for ever.
    """
    try:
        yield
    except CommandError as error:
        raise Unfit(f"this machine lacks {what} ({str(error).strip().splitlines()[-1]})") from None


def install_packages() -> None:
    """Debian's packages through the machine's own apt."""
    missing = [name for name in PACKAGES if not _installed(name)]
    if not missing:
        return
    run(*APT, "update", seconds=300)
    with _no_service_starts():
        run(
            *APT, "install", "--yes", "--no-install-recommends", *missing, seconds=900, DEBIAN_FRONTEND="noninteractive"
        )


@contextmanager
def _no_service_starts() -> Iterator[None]:
    """Packages' own daemons (munged) stay off: the machine's policy says no to every start meanwhile."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()


def _installed(package: str) -> bool:
    query = ["dpkg-query", "--show", "--showformat=${Status}", package]
    return subprocess.run(query, capture_output=True, text=True).stdout == "install ok installed"


def mirror() -> str:
    """The Debian mirror that this machine's apt uses."""
    query = ("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian")
    release = f"Codename: {codename()}"
    mirrors = run(*query, release, seconds=60)
    if not mirrors:
        run(*APT, "update", seconds=300)
        mirrors = run(*query, release, seconds=60)
    if not mirrors:
        raise Unfit(f"apt has no source of Debian {codename()}: name one in /etc/apt/sources.list")
    return mirrors.splitlines()[0]


def codename() -> str:
    """The code name of this machine's Debian release."""
    match = re.search(r"^VERSION_CODENAME=(\w+)", Path("/etc/os-release").read_text(), re.M)
    assert match is not None
    return match[1]


def install_apptainer() -> None:
    """Unpack Apptainer and its suite's libraries, relocated so that it finds both below its own folder."""
    partial = APPTAINER.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    packages = partial / "packages"
    packages.mkdir(parents=True)
    for file in download(packages):
        part = "root" if file.name.startswith("apptainer_") else "libraries"
        run("dpkg-deb", "--extract", file, partial / part, seconds=120)
    shutil.rmtree(packages)
    relocate(partial)
    partial.rename(APPTAINER)


def download(folder: Path) -> list[Path]:
    """The packages of the suite, through an apt whose lists and cache are apart from the machine's."""
    lists, sources = folder / "lists", folder / "sources.list"
    (lists / "partial").mkdir(parents=True)
    sources.write_text(f"deb [signed-by={KEYRING}] {mirror()} {SUITE} main\n")
    own = [*APT, "-o", f"Dir::Etc::SourceList={sources}", "-o", "Dir::Etc::SourceParts=/dev/null"]
    own += ["-o", f"Dir::State::Lists={lists}", "-o", f"Dir::Cache={folder}", "-o", "APT::Sandbox::User=root"]
    with needed(f"a mirror of Debian's {SUITE}, which has Apptainer"):
        run(*own, "-o", "APT::Update::Error-Mode=any", "update", seconds=300)
    run(*own, "download", *FROM_SUITE, seconds=300, folder=folder)
    return sorted(folder.glob("*.deb"))


def relocate(unpacked: Path) -> None:
    """Let both programs load the suite's libraries, and find their configuration and session folders."""
    root = unpacked / "root"
    libraries = APPTAINER / "libraries" / "usr" / "lib" / "x86_64-linux-gnu"
    for program in ("usr/bin/apptainer", "usr/lib/x86_64-linux-gnu/apptainer/bin/starter"):
        interpreter = ("--set-interpreter", f"{libraries}/ld-linux-x86-64.so.2")
        run("patchelf", "--force-rpath", "--set-rpath", libraries, *interpreter, root / program, seconds=60)
    shutil.copytree(root / "etc", root / "usr" / "etc")
    (root / "usr" / "var" / "lib" / "apptainer" / "mnt" / "session").mkdir(parents=True)
    for name in ("etc", "var"):
        (root / "usr" / "lib" / name).symlink_to(f"../{name}")
    settings = root / "usr" / "etc" / "apptainer" / "apptainer.conf"
    # where a capability is withheld from root, none can be kept
    none = re.sub(
        r"^root default capabilities = .*$", "root default capabilities = no", settings.read_text(), flags=re.M
    )
    settings.write_text(none)


def install_base() -> None:
    """A Debian with Python, all of it root's, so that it can be built upon in a user namespace of root alone."""
    partial = BASE.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    options = ("--variant=minbase", f"--include={BASE_PACKAGES}")
    # its mounts are its own, so that none is left where it is killed
    run("unshare", "--mount", "debootstrap", *options, codename(), partial, mirror(), seconds=900)
    for device in (partial / "dev").iterdir():
        shutil.rmtree(device) if device.is_dir() and not device.is_symlink() else device.unlink()
    run("chown", "--recursive", "--no-dereference", "0:0", partial, seconds=120)
    partial.rename(BASE)
