"""Build the image of one environment: the locked wheels are made outside and installed inside without a network.

    snakemake --cores 1 containers

A site without a registry sets a folder (debootstrap) or an image as the base: `--config image_base=/path`. The base
needs the Python version that the lock was made for, with its venv module.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from scripts.common.fingerprint import sha256_file
from scripts.common.provenance import commit
from scripts.common.settings import Settings
from scripts.common.step import step
from scripts.containers.images import definition_file, image_file, lock_file

LAST_LINES = 10  # of a failed command's output


class ImageSettings(Settings):
    """Recipe settings of `scripts.containers.build`."""

    environment: str
    base: str | None
    """Folder or image to build on; None: the image that the definition pins."""


class BuildError(RuntimeError):
    """The image cannot be built: the message names the cause and the fix."""


def fetch_wheels(lock: Path, folder: Path) -> None:
    """Make one wheel per line of the lock, by this environment's pip and its configuration."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "wheel", "-qq", "--disable-pip-version-check", "--no-deps"]
    run_logged([*command, "--wheel-dir", str(folder), "--requirement", str(lock)])


def build_arguments(settings: ImageSettings) -> dict[str, str]:
    """Values of the definition's placeholders. Raises BuildError if the base does not exist."""
    arguments = {"LOCK": sha256_file(lock_file(settings.environment)), "COMMIT": commit() or "unknown"}
    if settings.base is None:
        return arguments
    if not Path(settings.base).exists():
        raise BuildError(f"image_base: {settings.base} does not exist; name a folder or an image, or leave it out")
    return arguments | {"BOOTSTRAP": "localimage", "BASE": settings.base}


def build_image(settings: ImageSettings, wheels: Path, image: Path) -> None:
    """Run `apptainer build` with the wheels bound at /mnt."""
    if shutil.which("apptainer") is None:
        raise BuildError("apptainer is not on PATH: load its module, or install it, on the machine that builds images")
    command = ["apptainer", "build", "--bind", f"{wheels.resolve()}:/mnt:ro"]
    for name, value in build_arguments(settings).items():
        command += ["--build-arg", f"{name}={value}"]
    run_logged([*command, str(image), str(definition_file(settings.environment))])


def run_logged(command: Sequence[str]) -> None:
    """Run a command and print its output as it comes. Raises BuildError with the last lines if it fails."""
    last: deque[str] = deque(maxlen=LAST_LINES)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            last.append(line)
    if process.returncode:
        raise BuildError(f"{' '.join(command[:3])} ... ended with {process.returncode}:\n{''.join(last).rstrip()}")


def main() -> None:
    """Build the image; the record beside it says what it was made from."""
    with step(__spec__, inputs=(), settings=ImageSettings) as run:
        wheels = run.work / "wheels"
        fetch_wheels(lock_file(run.settings.environment), wheels)
        build_image(run.settings, wheels, run.out / image_file(run.settings.environment).name)


if __name__ == "__main__":
    main()
