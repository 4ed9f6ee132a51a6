"""Make one cell of one table from the scores of its row's model.

    python -m scripts.tables.cell --recipe JSON --scores SCORE... --out results/tiny/cells/TABLE/ROW/COLUMN.json

A column that is named after a benchmark takes that benchmark's score; `average` takes the scores of all benchmarks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from scripts.common.artifacts import read_json
from scripts.common.lineage import trace
from scripts.common.provenance import commit, dirty
from scripts.common.step import Run, step
from scripts.tables.measurement import AVERAGE, Cell, CellError, Measurement, average, measurement


@dataclass(frozen=True)
class CellSettings:
    """Settings of a cell. A dataclass, since importing pydantic costs more than the cell: see `measurement`."""

    table: str
    row: str
    column: str
    model: str
    reported: float | None
    scale: str

    @classmethod
    def model_validate(cls, obj: Any) -> CellSettings:
        """The settings from a recipe; a ValueError names keys that are missing or unknown."""
        known = {field.name for field in fields(cls)}
        if wrong := known ^ set(obj):
            raise ValueError(f"settings of a cell: {sorted(wrong)} missing or unknown; they are {sorted(known)}")
        return cls(**obj)


def measure(settings: CellSettings, scores: Sequence[Path]) -> Measurement:
    """The cell's number. Raises CellError if the scores are not those that the cell is made from."""
    parts = [measurement(read_json(path)) for path in scores]
    for path, part in zip(scores, parts, strict=True):
        if part.model != settings.model:
            raise CellError(f"{path} is of the model {part.model!r}; the row {settings.row!r} shows {settings.model!r}")
    if settings.column == AVERAGE:
        return average(parts)
    if [part.benchmark for part in parts] != [settings.column]:
        benchmarks = [part.benchmark for part in parts]
        raise CellError(f"the column {settings.column!r} takes that benchmark's score alone, not {benchmarks}")
    return parts[0]


def make(run: Run[CellSettings]) -> Cell:
    """The cell of a run, with its lineage. Raises ArtifactError if the lineage is inconsistent."""
    paths = [item.path for item in run.inputs["scores"]]
    measured = measure(run.settings, paths)
    (output,) = run.outputs
    return Cell(
        value=measured.value,
        n=measured.n,
        samples_per_prompt=measured.samples_per_prompt,
        stderr=measured.stderr,
        reported=run.settings.reported,
        model=measured.model,
        benchmark=measured.benchmark,
        metric=measured.metric,
        lineage=trace(paths).digests(),
        commit=commit(),
        dirty=dirty(),
        command=f"snakemake {output.as_posix()} --config scale={run.settings.scale} seed={run.seed}",
    )


def main() -> None:
    with step(__spec__, inputs=("scores",), settings=CellSettings) as run:
        make(run).write(run.out / run.outputs[0].name)


if __name__ == "__main__":
    main()
