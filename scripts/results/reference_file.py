"""The file `reference/<scale>.json`, as `scripts.results.reference` writes it and others read it.

scale      name of the scale
commits    seed -> the commits at which its tables were made
files      file of the project's code -> its digest, for all files that the recipes' `code` covers
hardware   the machines that made the artifacts, as the records of the runs describe them
cells      table/row/column -> seed -> value, standard error, n
jobs       in lineage order: the artifacts of a job with their digests (null: compared by value, or not at all), the
           position of its machine in `hardware`, and its recipe
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scripts.common.artifacts import canonical_json, read_json
from scripts.common.fingerprint import ROOT
from scripts.results.snapshot import Number, RecordedArtifact, Snapshot

FIRST_SEED = 1
"""The seed whose artifacts the reference keeps by digest."""


class ReferenceMissing(LookupError):
    """There is no reference for the results; the message says what there is."""


@dataclass(frozen=True)
class Reference:
    """The content of `reference/<scale>.json`."""

    scale: str
    commits: dict[int, str]
    """Seed to the commits at which its tables were made."""
    artifacts: dict[str, RecordedArtifact]
    """The artifacts of the first seed in lineage order, without their inputs."""
    cells: dict[int, dict[str, Number]]
    """Seed to cells by `table/row/column`."""

    def snapshot(self, seed: int) -> Snapshot:
        """One seed of the reference, to compare results with. Raises ReferenceMissing if it lacks the seed."""
        if seed not in self.cells:
            known = ", ".join(map(str, sorted(self.cells)))
            raise ReferenceMissing(f"reference/{self.scale}.json has no seed {seed}; it has {known}")
        artifacts = self.artifacts if seed == FIRST_SEED else {}
        return Snapshot(f"reference/{self.scale}.json", seed, artifacts, self.cells[seed])


def path_of(scale: str) -> Path:
    """Where the reference of a scale is."""
    return ROOT / "reference" / f"{scale}.json"


def reference_path(results: Path) -> Path:
    """The reference for a results folder, `results/<scale>` or `results/<scale>-seed-<n>`."""
    return path_of(results.resolve().name.split("-seed-")[0])


def read_reference(path: Path) -> Reference:
    """The reference at `path`. Raises ReferenceMissing if there is none."""
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in path.parent.glob("*.json"))) or "none"
        raise ReferenceMissing(f"there is no reference for the scale {path.stem} ({path} is missing); known: {known}")
    raw = read_json(path)
    artifacts = {
        name: RecordedArtifact(digest, job["recipe"], raw["hardware"][job["hardware"]], raw["files"])
        for job in raw["jobs"]
        for name, digest in job["artifacts"].items()
    }
    cells: dict[int, dict[str, Number]] = {int(seed): {} for seed in raw["commits"]}
    for name, by_seed in raw["cells"].items():
        for seed, number in by_seed.items():
            cells[int(seed)][name] = Number(**number)
    return Reference(raw["scale"], {int(seed): commit for seed, commit in raw["commits"].items()}, artifacts, cells)


def write_reference(reference: Reference, path: Path) -> None:
    """Write the reference with one line per job and per cell, so that a change shows as changed lines."""
    machines = list(dict.fromkeys(canonical_json(made.hardware) for made in reference.artifacts.values()))
    names = sorted({name for cells in reference.cells.values() for name in cells})
    content = {
        "scale": reference.scale,
        "commits": {str(seed): reference.commits[seed] for seed in sorted(reference.commits)},
        "files": dict(sorted({file for made in reference.artifacts.values() for file in made.files.items()})),
        "hardware": [json.loads(machine) for machine in machines],
        "cells": {
            name: {str(seed): asdict(cells[name]) for seed, cells in sorted(reference.cells.items()) if name in cells}
            for name in names
        },
        "jobs": [
            {"artifacts": digests, "hardware": machines.index(machine), "recipe": json.loads(recipe)}
            for (recipe, machine), digests in _by_job(reference.artifacts)
        ],
    }
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(_lines(content)) + "\n")


def _by_job(artifacts: Mapping[str, RecordedArtifact]) -> Iterable[tuple[tuple[str, str], dict[str, str | None]]]:
    """Neighbours in lineage order with the same recipe and machine, as the files of one job are, share an entry."""
    jobs: list[tuple[tuple[str, str], dict[str, str | None]]] = []
    for name, made in artifacts.items():
        key = (canonical_json(made.recipe), canonical_json(made.hardware))
        if not jobs or jobs[-1][0] != key:
            jobs.append((key, {}))
        jobs[-1][1][name] = made.digest
    return jobs


def _lines(content: Mapping[str, Any]) -> Iterator[str]:
    """JSON with two levels of indentation; deeper values are on one line."""
    yield "{"
    for last, (key, value) in _marked(content.items()):
        if not isinstance(value, dict | list):
            yield f" {json.dumps(key)}: {json.dumps(value)}{'' if last else ','}"
            continue
        opening, closing = "{}" if isinstance(value, dict) else "[]"
        yield f" {json.dumps(key)}: {opening}"
        items = value.items() if isinstance(value, dict) else ((None, item) for item in value)
        for end, (name, item) in _marked(items):
            label = "" if name is None else f"{json.dumps(name)}: "
            yield f"  {label}{json.dumps(item, ensure_ascii=False)}{'' if end else ','}"
        yield f" {closing}{'' if last else ','}"
    yield "}"


def _marked(items: Iterable[Any]) -> Iterator[tuple[bool, Any]]:
    """Each item with whether it is the last."""
    listed = list(items)
    yield from ((position == len(listed) - 1, item) for position, item in enumerate(listed))
