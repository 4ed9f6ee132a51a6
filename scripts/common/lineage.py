"""Where an artifact comes from: the graph of run records behind it, back to the raw sources.

Each artifact has the record of its run beside it (`run.json`, `<file>.run`), which states the artifact's digest and,
for each input, the digest that the step read. Only manifests and records are read: large data files may be deleted to
free disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any

from scripts.common.artifacts import MANIFEST, ArtifactError, read_json, run_path

STAGES = ("sources", "curate", "distill", "mix", "train", "evaluate", "tables")
"""The stages in the order of the pipeline: each is a file of rules/ and a package of scripts/."""


@dataclass(frozen=True)
class Node:
    """One artifact as its run recorded it."""

    path: Path
    """The artifact's present path."""
    record: Mapping[str, Any]
    """The record of its run: see `scripts.common.step`."""

    @property
    def digest(self) -> str:
        """SHA-256 of the artifact (of its manifest, for a folder) when it was made."""
        return self.record["output"]

    @cached_property
    def inputs(self) -> dict[Path, str]:
        """Present path of each input to the digest that it had when the step read it."""
        return {self._relocated(name): digest for name, digest in self.record["inputs"].items()}

    @property
    def stage(self) -> str:
        """Name of the stage whose step made it: `train` for `scripts.train.sft`."""
        return self.record["step"].split(".")[1]

    def counts(self) -> dict[str, Any]:
        """The step's counts; empty for a single file, or if the manifest was deleted."""
        return read_json(self.path).get("counts", {}) if self.path.name == MANIFEST and self.path.is_file() else {}

    def _relocated(self, recorded: str) -> Path:
        """An input's present path: if the results folder was moved or copied, its inputs moved with it."""
        made, now = _without_common_end(self._made_as(), self.path)
        inside = PurePath(recorded)
        return Path(now, inside.relative_to(made)) if inside.is_relative_to(made) else Path(recorded)

    def _made_as(self) -> PurePath:
        """The path under which the step wrote this artifact."""
        return next(PurePath(name) for name in self.record["outputs"] if PurePath(name).name == self.path.name)


@dataclass(frozen=True)
class Lineage:
    """Everything that artifacts were made from, and its inconsistencies."""

    nodes: dict[Path, Node]
    """The artifacts and everything behind them, each once, sorted by path."""
    problems: tuple[str, ...]
    """Missing records, and inputs that changed after they were read; empty if the lineage is consistent."""

    def digests(self) -> dict[str, str]:
        """Artifact to digest, sorted by path. Raises ArtifactError if the lineage has a problem."""
        if self.problems:
            raise ArtifactError("; ".join(self.problems))
        return {path.as_posix(): node.digest for path, node in self.nodes.items()}


def trace(paths: Iterable[Path]) -> Lineage:
    """The lineage of the artifacts at `paths` (manifests or single files), from their run records alone."""
    nodes: dict[Path, Node] = {}
    problems: set[str] = set()
    todo = list(paths)
    while todo:
        path = todo.pop()
        if path in nodes:
            continue
        try:
            nodes[path] = read_node(path)
        except ArtifactError as error:
            problems.add(str(error))
        else:
            todo.extend(nodes[path].inputs)
    problems.update(problem for node in nodes.values() for problem in _changed_inputs(node, nodes))
    return Lineage(dict(sorted(nodes.items())), tuple(sorted(problems)))


def read_node(path: Path) -> Node:
    """The artifact at `path`, from its run record. Raises ArtifactError if the record is missing or incomplete."""
    file = run_path(path)
    if not file.is_file():
        raise ArtifactError(f"{path} has no record of its run ({file} is missing): make it again")
    try:
        record = read_json(file)
        complete = {"output", "outputs", "inputs", "step", "recipe"} <= record.keys()
    except (ValueError, AttributeError):
        complete = False
    if not complete:
        raise ArtifactError(f"{file} is not the record of a run: make {path} again")
    return Node(path, record)


def _changed_inputs(node: Node, nodes: Mapping[Path, Node]) -> Iterable[str]:
    for path, digest in node.inputs.items():
        if path in nodes and nodes[path].digest != digest:
            yield (
                f"{node.path} was made from {path} with digest {digest[:16]}, which now is {nodes[path].digest[:16]}: "
                f"make {node.path} again, or delete it if nothing makes it"
            )


def _without_common_end(one: PurePath, other: PurePath) -> tuple[PurePath, PurePath]:
    """Both paths without their longest common suffix of parts."""
    shared = 0
    for left, right in zip(reversed(one.parts), reversed(other.parts), strict=False):
        if left != right:
            break
        shared += 1
    return PurePath(*one.parts[: len(one.parts) - shared]), PurePath(*other.parts[: len(other.parts) - shared])


def flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested settings as one dictionary with keys such as `a.b.c`; a list counts as a value."""
    if not isinstance(value, Mapping) or not value:
        return {prefix: value} if prefix else {}
    return {
        key: item
        for name, inner in value.items()
        for key, item in flat(inner, f"{prefix}.{name}" if prefix else str(name)).items()
    }
