"""An environment's image: its path, what it is made from, and whether it was built from the current lock."""

from __future__ import annotations

import platform
from pathlib import Path

from scripts.common.artifacts import read_json, run_path
from scripts.common.fingerprint import ROOT, sha256_file

BUILD = "snakemake --profile slurm containers"


def lock_file(environment: str) -> Path:
    """The lock of an environment."""
    return ROOT / "envs" / f"{environment}.txt"


def definition_file(environment: str) -> Path:
    """The definition that `apptainer build` reads."""
    return ROOT / "containers" / f"{environment}.def"


def image_file(environment: str) -> Path:
    """The built image."""
    return ROOT / "containers" / f"{environment}.sif"


def identity(environment: str, contained: bool) -> dict[str, str]:
    """Identity of an environment: the digest of its lock, and of its image's definition or else Python's version.

    Raises FileNotFoundError if one of the files is missing.
    """
    files = [lock_file(environment)]
    if contained:
        files += [definition_file(environment), ROOT / "containers" / "install.sh"]
    made_from = {file.name: sha256_file(file)[:16] for file in files}
    return made_from if contained else made_from | {"python": platform.python_version()}


def problem(environment: str) -> str | None:
    """The problem of an environment's image, with the fix; None if it was built from the current files."""
    image = image_file(environment)
    record = run_path(image)
    if not image.is_file() or not record.is_file():
        return f"image {image} is missing: build it with `{BUILD}`"
    built, current = read_json(record)["recipe"]["environment"], identity(environment, contained=True)
    changed = [name for name, digest in current.items() if built.get(name) != digest]
    if changed:
        return f"image {image} was built from another {', '.join(changed)}: rebuild it with `{BUILD}`"
    return None
