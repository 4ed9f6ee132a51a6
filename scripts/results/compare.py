"""Compare results with the reference of this commit, or with other results.

    python -m scripts.results.compare results/tiny                            with reference/tiny.json
    python -m scripts.results.compare results/tiny --with /elsewhere/results/tiny

Prints the first artifacts in lineage order that differ, with what differs about how they were made; then the cells that
differ, with their standard errors; and last how many artifacts and cells are the same. Exit code 1 if any differs or is
missing on one side. What is compared by digest and what by value: `scripts.results.snapshot`.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.common.artifacts import ArtifactError, canonical_json
from scripts.common.lineage import flat
from scripts.results.reference_file import ReferenceMissing, read_reference, reference_path
from scripts.results.snapshot import CELLS, Number, RecordedArtifact, Snapshot, of_folder
from scripts.tables.measurement import AVERAGE
from scripts.tables.render import signed

SHOWN = 10  # artifacts or cells listed; the rest is counted
VALUE_SHOWN = 70  # characters of a setting's value
NOT_A_CAUSE = frozenset({"cpus"})
"""Fields of the hardware that change no digit: each job runs one thread, however many CPUs there are."""


@dataclass(frozen=True)
class Comparison:
    """Two snapshots of one seed, `a` the expected one."""

    a: Snapshot
    b: Snapshot

    @property
    def names(self) -> list[str]:
        """The artifacts that both sides know by digest, or one side alone; none if a side keeps no digests."""
        a, b = self.a.digests(), self.b.digests()
        return list(a | b) if a and b else []

    @property
    def different(self) -> list[str]:
        """The artifacts whose digests differ, in lineage order; one that a side lacks is not among them."""
        a, b = self.a.digests(), self.b.digests()
        return [name for name in self.names if name in a and name in b and a[name] != b[name]]

    def only_in(self, one: Snapshot) -> list[str]:
        """The artifacts that only this side has."""
        other = self.b if one is self.a else self.a
        return [name for name in self.names if name in one.digests() and name not in other.digests()]

    @property
    def first(self) -> list[str]:
        """The artifacts that differ although none of their inputs does: where the two results part."""
        changed = {*self.different, *self.only_in(self.a), *self.only_in(self.b)}
        changed |= {f"{CELLS}{name}.json" for name in self.different_cells}
        return [name for name in self.different if not changed.intersection(self._inputs(name))]

    def _inputs(self, name: str) -> set[str]:
        return {*self.a.artifacts[name].inputs, *self.b.artifacts[name].inputs}

    @property
    def cell_names(self) -> list[str]:
        """The cells of either side."""
        return sorted({*self.a.cells, *self.b.cells})

    @property
    def different_cells(self) -> dict[str, tuple[Number, Number]]:
        """The cells that both sides have with other numbers."""
        a, b = self.a.cells, self.b.cells
        return {name: (a[name], b[name]) for name in self.cell_names if name in a and name in b and a[name] != b[name]}

    @property
    def same_artifacts(self) -> int:
        """Number of artifacts with the same digest on both sides."""
        return len(set(self.a.digests().items()) & set(self.b.digests().items())) if self.names else 0

    @property
    def same_cells(self) -> int:
        """Number of cells with the same numbers on both sides."""
        return len(set(self.a.cells.items()) & set(self.b.cells.items()))

    @property
    def equal(self) -> bool:
        """True if nothing differs and neither side lacks anything."""
        return self.same_artifacts == len(self.names) and self.same_cells == len(self.cell_names)


def causes(a: RecordedArtifact, b: RecordedArtifact) -> list[str]:
    """What differs about how two versions of an artifact were made: seed, code, lock, settings, CPU.

    For the code, it names the files of `b` that differ or are absent in `a`, if the record of `a` names files.
    """
    left, right = (flat(made.recipe) | flat(_machine(made.hardware)) for made in (a, b))
    pairs = {key: (_text(left, key), _text(right, key)) for key in sorted(left.keys() | right.keys())}
    different = [f"{key}: {_cut(one)} -> {_cut(other)}" for key, (one, other) in pairs.items() if one != other]
    edited = sorted(file for file, digest in b.files.items() if a.files and a.files.get(file) != digest)
    different += [f"edited: {', '.join(edited[:SHOWN])}", *_rest(edited)] if edited else []
    return different or ["nothing that is recorded differs: the recipe, the inputs and the CPU are the same"]


def _machine(hardware: Mapping[str, Any]) -> dict[str, Any]:
    """The hardware that can change digits; of the GPUs, their number."""
    kept = {key: value for key, value in hardware.items() if key not in NOT_A_CAUSE}
    return {"hardware": kept | {"gpus": len(hardware.get("gpus", ()))}}


def _text(values: Mapping[str, Any], key: str) -> str:
    return canonical_json(values[key]) if key in values else "absent"


def _cut(text: str) -> str:
    return text if len(text) <= VALUE_SHOWN else f"{text[:VALUE_SHOWN]}..."


def report(comparison: Comparison, owner: str) -> Iterator[str]:
    """The comparison as lines of text; `owner` ends the last one: `the reference's`, `the same in both`."""
    a, b = comparison.a, comparison.b
    if first := comparison.first:
        yield f"{a.label} -> {b.label}: the first artifacts that differ, and how they were made:"
        for name in first[:SHOWN]:
            yield f"  {name}"
            yield from (f"      {cause}" for cause in causes(a.artifacts[name], b.artifacts[name]))
        yield from _rest(first)
        yield f"  {len(comparison.different) - len(first)} more differ among those made from them."
    for side in (a, b):
        if lone := comparison.only_in(side):
            yield f"Only in {side.label}: {', '.join(lone[:SHOWN])}"
            yield from _rest(lone)
    yield from _cell_lines(comparison)
    yield _summary(comparison, owner)


def _rest(items: Iterable[object]) -> Iterator[str]:
    if (hidden := len(list(items)) - SHOWN) > 0:
        yield f"  and {hidden} more"


def _cell_lines(comparison: Comparison) -> Iterator[str]:
    different = comparison.different_cells
    for side in (comparison.a, comparison.b):
        other = comparison.b if side is comparison.a else comparison.a
        if lone := sorted(side.cells.keys() - other.cells.keys()):
            yield f"Cells only in {side.label}: {', '.join(lone[:SHOWN])}"
            yield from _rest(lone)
    if not different:
        return
    yield "Cells that differ, in points, with both standard errors over prompts; averages first:"
    order = sorted(different, key=lambda name: (not name.endswith(AVERAGE), -abs(_moved(different[name])), name))
    width = max(map(len, order[:SHOWN]))
    for name in order[:SHOWN]:
        a, b = different[name]
        move = signed(_moved((a, b)))
        yield f"  {name:<{width}}  {a.value:6.2f} -> {b.value:6.2f}  {move} (± {a.stderr:.2f}, ± {b.stderr:.2f})"
    yield from _rest(order)
    yield from _spread(comparison)


def _spread(comparison: Comparison) -> Iterator[str]:
    """How far the cells of both sides are apart, in comparison with their errors."""
    a, b = comparison.a.cells, comparison.b.cells
    shared = a.keys() & b.keys()
    averages = {name for name in shared if name.endswith(f"/{AVERAGE}")}
    for kind, names in (("averages", averages), ("values on one benchmark", shared - averages)):
        if names:
            apart = _rms(_moved((a[name], b[name])) for name in names)
            error = _rms(a[name].stderr for name in names)
            yield f"  {len(names)} {kind}: {apart:.2f} points apart (root mean square); standard error {error:.2f}"


def _moved(pair: tuple[Number, Number]) -> float:
    return pair[1].value - pair[0].value


def _rms(values: Iterable[float]) -> float:
    squares = [value**2 for value in values]
    return math.sqrt(math.fsum(squares) / len(squares))


def _summary(comparison: Comparison, owner: str) -> str:
    cells = f"{comparison.same_cells} of {len(comparison.cell_names)} cells"
    if comparison.names:
        return f"{comparison.same_artifacts} of {len(comparison.names)} artifacts and {cells} are {owner}"
    return f"{cells} are {owner} (seed {comparison.b.seed}, of which the reference keeps the cells alone)"


def compare(folder: Path, other: Path | None) -> tuple[Comparison, str]:
    """The comparison of a folder with another one, or with its scale's reference; and who owns what is the same."""
    results = of_folder(folder)
    if other is not None:
        return Comparison(results, of_folder(other)), "the same in both"
    reference = read_reference(reference_path(folder))
    return Comparison(reference.snapshot(results.seed), results), "the reference's"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.results.compare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("results", type=Path, help="results folder of a scale")
    parser.add_argument("--with", type=Path, dest="other", metavar="RESULTS", help="another folder, not the reference")
    arguments = parser.parse_args()
    try:
        comparison, owner = compare(arguments.results, arguments.other)
    except (ArtifactError, ReferenceMissing) as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(report(comparison, owner)))
    return 0 if comparison.equal else 1


if __name__ == "__main__":
    sys.exit(main())
