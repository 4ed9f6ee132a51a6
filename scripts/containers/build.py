"""Build the image of one environment: its locked wheels are made here, and installed there without a network.

    snakemake --cores 1 containers

A site without a registry names a folder (debootstrap) or an image as the base: `--config image_base=/path`.
The base needs Python of the version that the lock was made for, with its venv module.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from scripts.common.fingerprint import sha256_file
from scripts.common.settings import Settings
from scripts.common.step import commit, step
from scripts.containers.images import definition_file, image_file, lock_file


class ImageSettings(Settings):
    environment: str
    base: str | None
    """Folder or image to build on, instead of the digest that the definition pins."""


class BuildError(RuntimeError):
    """The image cannot be built: the message names the cause and the fix."""


def fetch_wheels(lock: Path, folder: Path) -> None:
    """One wheel a line of the lock, by the pip of this environment as it is configured here."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "wheel", "-qq", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*command, "--wheel-dir", str(folder), "--requirement", str(lock)], check=True)


def build_arguments(settings: ImageSettings) -> dict[str, str]:
    """What the definition's placeholders stand for."""
    arguments = {"LOCK": sha256_file(lock_file(settings.environment)), "COMMIT": commit() or "unknown"}
    if settings.base is None:
        return arguments
    if not Path(settings.base).exists():
        raise BuildError(f"image_base: {settings.base} does not exist; name a folder or an image, or leave it out")
    return arguments | {"BOOTSTRAP": "localimage", "BASE": settings.base}


def build_image(settings: ImageSettings, wheels: Path, image: Path) -> None:
    """Run `apptainer build`, the wheels bound at /mnt."""
    if shutil.which("apptainer") is None:
        raise BuildError("apptainer is not on PATH: load its module, or install it, on the machine that builds images")
    command = ["apptainer", "build", "--bind", f"{wheels.resolve()}:/mnt:ro"]
    for name, value in build_arguments(settings).items():
        command += ["--build-arg", f"{name}={value}"]
    subprocess.run([*command, str(image), str(definition_file(settings.environment))], check=True)


def main() -> None:
    """Build the image asked for; the record beside it says what it was made from."""
    with step(__spec__, inputs=(), settings=ImageSettings) as run:
        wheels = run.work / "wheels"
        fetch_wheels(lock_file(run.settings.environment), wheels)
        build_image(run.settings, wheels, run.out / image_file(run.settings.environment).name)


if __name__ == "__main__":
    main()
