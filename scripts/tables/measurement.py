"""A cell: one number of one table, with all that a reader needs to assess it and to make it again.

This module imports the standard library alone: there are hundreds of cells, and each is a process of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scripts.common.artifacts import read_json, write_json

AVERAGE = "average"
"""Name of every table's last column, which is the mean of the others."""
POINTS = 100.0
"""Scores are shares between 0 and 1; tables show points of 100, as the paper does."""


class CellError(ValueError):
    """The scores are not those that the cell is made from."""


@dataclass(frozen=True)
class Measurement:
    """A number in points of 100 with its uncertainty."""

    value: float
    stderr: float
    """Standard error of `value` over the benchmark's prompts (points)."""
    n: int
    """Number of prompts; for an average, summed over its benchmarks."""
    samples_per_prompt: int | None
    """Completions per prompt; null for an average of benchmarks that differ in it."""
    model: str
    benchmark: str
    metric: str


@dataclass(frozen=True)
class Cell:
    """The content of `cells/{table}/{row}/{column}.json`, in this order."""

    value: float
    n: int
    samples_per_prompt: int | None
    stderr: float
    reported: float | None
    """The paper's figure (points); null if it gives none."""
    model: str
    benchmark: str
    metric: str
    lineage: dict[str, str]
    """Path (of a manifest or a single file) to SHA-256, for every artifact behind this cell back to the raw sources."""
    commit: str | None
    dirty: bool | None
    command: str
    """The command that makes the cell again, without the execution options (`--cores all`, or `--profile slurm`)."""

    @classmethod
    def read(cls, path: Path) -> Cell:
        """The cell at `path`; a TypeError names a field that is missing or unknown."""
        return cls(**read_json(path))

    def write(self, path: Path) -> None:
        """Write the cell as JSON, atomically."""
        write_json(path, asdict(self))


def measurement(score: Mapping[str, Any]) -> Measurement:
    """The content of a score file in points. Raises CellError unless n > 1 and value and stderr are within 0 to 1."""
    value, stderr, n = score["value"], score["stderr"], score["n"]
    label = f"score of {score['model']} on {score['benchmark']}"
    if n < 2:
        raise CellError(f"{label}: n is {n!r}; a cell needs at least two prompts for its standard error")
    for name, number in (("value", value), ("stderr", stderr)):
        if not isinstance(number, int | float) or not 0.0 <= number <= 1.0:
            raise CellError(f"{label}: {name} is {number!r}; it must be a share between 0 and 1")
    return Measurement(
        value=POINTS * value,
        stderr=POINTS * stderr,
        n=n,
        samples_per_prompt=score["samples_per_prompt"],
        model=score["model"],
        benchmark=score["benchmark"],
        metric=score["metric"],
    )


def average(parts: Sequence[Measurement]) -> Measurement:
    """Unweighted mean over benchmarks; their errors count as independent: sqrt(sum of squares) / count.

    Raises CellError if there are no parts, a benchmark occurs twice, or the parts are of several models.
    """
    benchmarks = [part.benchmark for part in parts]
    models = {part.model for part in parts}
    if not parts or len(set(benchmarks)) != len(parts) or len(models) != 1:
        raise CellError(f"an average needs distinct benchmarks of one model, not {benchmarks} of {sorted(models)}")
    samples = {part.samples_per_prompt for part in parts}
    return Measurement(
        value=math.fsum(part.value for part in parts) / len(parts),
        stderr=math.sqrt(math.fsum(part.stderr**2 for part in parts)) / len(parts),
        n=sum(part.n for part in parts),
        samples_per_prompt=samples.pop() if len(samples) == 1 else None,
        model=models.pop(),
        benchmark=AVERAGE,
        metric="mean",
    )
