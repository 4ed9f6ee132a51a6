"""Write the reference of a scale from its results: what everybody who runs this commit should get.

    python -m scripts.results.reference [--scale tiny]

The reference, `reference/<scale>.json`, holds for seed 1 the digest of every artifact and the recipe that it was made
by, and for every seed the value, standard error and n of every cell. `scripts.results.compare` compares results with
it. At its end, the command writes the tables of README.md and docs/tiny.md from it (`scripts.results.readme`).

The results must be made by the code as it is: the command refuses results whose recipes differ from those that the
configuration and the code give now. Seed 1 is required. Other seeds come from `results/<scale>-seed-<n>`; if such a
folder is absent, the seed's cells are kept from the old reference as long as no cell of seed 1 has changed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts.common.artifacts import ArtifactError, canonical_json
from scripts.common.fingerprint import ROOT
from scripts.results import readme
from scripts.results.reference_file import FIRST_SEED, Reference, path_of, read_reference, write_reference
from scripts.results.snapshot import RecordedArtifact, Snapshot, of_folder
from scripts.tables.seeds import made_at
from scripts.workflow.artifacts import Artifacts
from scripts.workflow.config import read

SHOWN = 8  # artifacts named before the rest is counted


class NotReproduced(RuntimeError):
    """The results cannot become the reference; the message says why."""


def planned_recipes(scale: str, seed: int) -> dict[str, dict[str, Any]]:
    """Artifact (path below the results folder) to the recipe by which the code and configuration would make it now."""
    artifacts = Artifacts(read(scale, {"seed": seed}))
    files = artifacts.behind(artifacts.paths.everything())
    below = f"{artifacts.config.results}/"
    return {path.removeprefix(below): json.loads(canonical_json(artifact.recipe)) for path, artifact in files.items()}


def outdated(planned: Mapping[str, Mapping[str, Any]], artifacts: Mapping[str, RecordedArtifact]) -> list[str]:
    """The artifacts that the code would make by another recipe, would no longer make, or that are missing."""
    now = {name: _of_the_commit(recipe) for name, recipe in planned.items()}
    then = {name: _of_the_commit(artifact.recipe) for name, artifact in artifacts.items()}
    return [name for name in sorted(now.keys() | then.keys()) if now.get(name) != then.get(name)]


def _of_the_commit(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe without the version of Python, which a machine decides and not a commit."""
    environment = {name: digest for name, digest in recipe.get("environment", {}).items() if name != "python"}
    return {**recipe, "environment": environment}


def named(names: list[str]) -> str:
    """Some names, and how many more there are."""
    rest = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + rest


def make(scale: str, results: Path, old: Reference | None) -> Reference:
    """The reference of the results in the folder `results`. Raises NotReproduced if they cannot become one."""
    folders = {seed: results / Path(read(scale, {"seed": seed}).results).name for seed in _seeds(scale, results)}
    snapshots = {seed: _current(scale, seed, folder) for seed, folder in folders.items()}
    first = snapshots[FIRST_SEED]
    commits = {seed: made_at(sorted((folder / "tables").glob("*.json"))) for seed, folder in folders.items()}
    cells = {seed: dict(snapshot.cells) for seed, snapshot in snapshots.items()}
    for seed in sorted(old.cells.keys() - cells.keys()) if old else ():
        assert old is not None
        if old.cells[FIRST_SEED] != first.cells:
            raise NotReproduced(
                f"cells of seed {FIRST_SEED} changed, and {results} has no results of seed {seed}, which the old "
                f"reference has: run `make reproduce SCALE={scale} SEEDS={max(old.cells)}` first"
            )
        cells[seed], commits[seed] = old.cells[seed], old.commits[seed]
    return Reference(scale, commits, dict(first.artifacts), cells)


def _seeds(scale: str, results: Path) -> list[int]:
    """The first seed, and the others that have a folder."""
    others = (int(folder.name.rpartition("-")[2]) for folder in results.glob(f"{scale}-seed-*"))
    return [FIRST_SEED, *sorted(others)]


def _current(scale: str, seed: int, folder: Path) -> Snapshot:
    """The snapshot of a seed's results. Raises NotReproduced if they are not what the code would make now."""
    snapshot = of_folder(folder)
    if names := outdated(planned_recipes(scale, seed), snapshot.artifacts):
        raise NotReproduced(
            f"{folder} is not what this code makes; missing, or made by other recipes: {named(names)}. "
            f"Run `make reproduce SCALE={scale} SEEDS={seed}` first"
        )
    return snapshot


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.results.reference",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--scale", default="tiny")
    scale = parser.parse_args().scale
    path = path_of(scale)
    try:
        old = read_reference(path) if path.is_file() else None
        reference = make(scale, ROOT / "results", old)
    except (ArtifactError, NotReproduced) as error:
        raise SystemExit(str(error)) from None
    write_reference(reference, path)
    seeds = ", ".join(map(str, sorted(reference.cells)))
    digests = sum(made.digest is not None for made in reference.artifacts.values())
    print(f"{path}: {digests} artifacts by digest, {len(reference.cells[FIRST_SEED])} cells of the seeds {seeds}")
    readme.update(reference)


if __name__ == "__main__":
    main()
