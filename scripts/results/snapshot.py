"""What a results folder holds, in a form that can be compared with another folder or with the reference.

Every artifact is compared by its digest (of its manifest, or of the single file), with two exceptions that name the
commit or the time at which they were made: cells (`cells/*`) are compared by value, standard error and n, and
`report.html`, which shows nothing but what other artifacts hold, is not compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.common.artifacts import ArtifactError, sha256_file
from scripts.common.lineage import Lineage, trace
from scripts.results.verify import artifacts
from scripts.tables.measurement import Cell

CELLS, REPORT = "cells/", "report.html"


@dataclass(frozen=True)
class Number:
    """What is compared of a cell, in points of 100."""

    value: float
    stderr: float
    n: int


@dataclass(frozen=True)
class RecordedArtifact:
    """An artifact, and what is recorded about how it was made."""

    digest: str | None
    """SHA-256 of the manifest or single file; None if the artifact is not compared by digest."""
    recipe: Mapping[str, Any]
    hardware: Mapping[str, Any]
    files: Mapping[str, str]
    """The files that the recipe's `code` covers, with their digests. In the reference, those of
    all steps; empty if the record was written before records named them."""
    inputs: tuple[str, ...] = ()
    """Names of the artifacts that it was made from; empty for an artifact of the reference."""


@dataclass(frozen=True)
class Snapshot:
    """The artifacts and cells of one seed."""

    label: str
    """How messages name it."""
    seed: int
    artifacts: Mapping[str, RecordedArtifact]
    """By path below the results folder, in lineage order: inputs before what is made from them."""
    cells: Mapping[str, Number]
    """By `table/row/column`."""

    def digests(self) -> dict[str, str]:
        """The artifacts that are compared by digest."""
        return {name: artifact.digest for name, artifact in self.artifacts.items() if artifact.digest is not None}


def of_folder(folder: Path) -> Snapshot:
    """The snapshot of a results folder. Raises ArtifactError if it is empty or its lineage is inconsistent."""
    lineage = trace(artifacts(folder))
    if lineage.problems:
        raise ArtifactError(f"{lineage.problems[0]} (`make verify-results` lists all problems of {folder})")
    if not lineage.nodes:
        raise ArtifactError(f"{folder} holds no artifact: run `make reproduce`, or name a scale's results folder")
    recorded = {_name(path, folder): _made(path, folder, lineage) for path in in_lineage_order(lineage)}
    seeds = sorted({item.recipe["seed"] for item in recorded.values()})
    if len(seeds) > 1:
        raise ArtifactError(f"{folder} holds artifacts of several seeds: {seeds}; each seed has its own folder")
    cells = {cell_name(name): _number(folder / name) for name in recorded if name.startswith(CELLS)}
    return Snapshot(folder.as_posix(), seeds[0], recorded, cells)


def in_lineage_order(lineage: Lineage) -> list[Path]:
    """Every artifact after those that it was made from: by the length of the longest chain behind it, then by path."""
    depth: dict[Path, int] = {}

    def measure(path: Path) -> int:
        if path not in depth:
            depth[path] = 1 + max((measure(source) for source in lineage.nodes[path].inputs), default=0)
        return depth[path]

    return sorted(lineage.nodes, key=lambda path: (measure(path), path))


def cell_name(artifact: str) -> str:
    """`cells/instruct/base/ifeval.json` as `instruct/base/ifeval`."""
    return artifact.removeprefix(CELLS).removesuffix(".json")


def _made(path: Path, folder: Path, lineage: Lineage) -> RecordedArtifact:
    node, name = lineage.nodes[path], _name(path, folder)
    by_value = name.startswith(CELLS) or name == REPORT
    inputs = tuple(_name(source, folder) for source in sorted(node.inputs))
    record = node.record
    digest = None if by_value else sha256_file(path)
    return RecordedArtifact(digest, record["recipe"], record["hardware"], record.get("files", {}), inputs)


def _name(path: Path, folder: Path) -> str:
    return (path.relative_to(folder) if path.is_relative_to(folder) else path).as_posix()


def _number(path: Path) -> Number:
    cell = Cell.read(path)
    return Number(cell.value, cell.stderr, cell.n)
