"""Where an environment's image lies, what it is made from, and whether it is the one the locks describe."""

from __future__ import annotations

import platform
from pathlib import Path

from scripts.common.artifacts import read_json, run_path
from scripts.common.fingerprint import ROOT, sha256_file

BUILD = "snakemake --profile slurm containers"


def lock_file(environment: str) -> Path:
    return ROOT / "envs" / f"{environment}.txt"


def definition_file(environment: str) -> Path:
    return ROOT / "containers" / f"{environment}.def"


def image_file(environment: str) -> Path:
    return ROOT / "containers" / f"{environment}.sif"


def identity(environment: str, contained: bool) -> dict[str, str]:
    """What an environment is made from: digests of its lock and, for an image, its definition; else Python's version.

    Raises FileNotFoundError naming the file that the environment lacks.
    """
    files = [lock_file(environment)]
    if contained:
        files += [definition_file(environment), ROOT / "containers" / "install.sh"]
    made_from = {file.name: sha256_file(file)[:16] for file in files}
    return made_from if contained else made_from | {"python": platform.python_version()}


def problem(environment: str) -> str | None:
    """What is wrong with an environment's image, with the fix; None when it is the one described."""
    image = image_file(environment)
    record = run_path(image)
    if not image.is_file() or not record.is_file():
        return f"image {image} is missing: build it with `{BUILD}`"
    built, described = read_json(record)["recipe"]["environment"], identity(environment, contained=True)
    changed = [name for name, digest in described.items() if built.get(name) != digest]
    if changed:
        return f"image {image} was built from another {', '.join(changed)}: rebuild it with `{BUILD}`"
    return None
