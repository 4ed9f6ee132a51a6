"""A finished table as data, `tables/{table}.json`: the renderers, the terminal and the report read it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scripts.common.artifacts import read_json, write_json
from scripts.tables.statistics import Verdict


@dataclass(frozen=True)
class Entry:
    """One cell as a table shows it, in points of 100."""

    value: float
    stderr: float
    """Standard error of `value`: over prompts if there is one seed, over seeds if there are several."""
    sd: float | None
    """Standard deviation over seeds; null if there is one seed."""
    n: int
    """Number of prompts (per seed)."""
    samples_per_prompt: int | None
    reported: float | None
    """The paper's figure."""
    difference: float | None
    """`value - reported`; null if the paper gives no figure."""


@dataclass(frozen=True)
class ResultRow:
    """A model's row: one entry per column."""

    name: str
    title: str
    model: str
    cells: dict[str, Entry]


@dataclass(frozen=True)
class ResultClaim:
    """A direction that the paper states, and whether these numbers show it (see `scripts.tables.statistics`)."""

    text: str
    better: str
    worse: str
    column: str
    reported: float | None
    """The paper's difference (points); null if it gives none."""
    difference: float
    """`better - worse` (points)."""
    stderr: float
    """Standard error of `difference`: over prompts and, if it is known, training; over seeds if there are several."""
    p: float
    test: str
    verdict: Verdict


@dataclass(frozen=True)
class Result:
    """A whole table."""

    name: str
    title: str
    kind: str
    seeds: tuple[int, ...]
    spread: str
    """What the number behind a value's ± sign is."""
    training_noise: dict[str, float] | None
    """By column: standard deviation of a row's value between trainings (points). Null if it is unknown, and for several
    seeds, whose spread includes it."""
    columns: dict[str, str]
    """Column to heading; the average is last."""
    rows: tuple[ResultRow, ...]
    claims: tuple[ResultClaim, ...]

    def row(self, name: str) -> ResultRow:
        """The row with this name."""
        return next(row for row in self.rows if row.name == name)

    def write(self, path: Path) -> None:
        """Write the table as JSON, atomically."""
        write_json(path, asdict(self))


def main_first(results: Iterable[Result]) -> list[Result]:
    """The main tables before the ablations; within each group, the order is kept."""
    return sorted(results, key=lambda result: result.kind != "main")


def read_result(path: Path) -> Result:
    """The table at `path`."""
    return _result(read_json(path))


def _result(raw: Mapping[str, Any]) -> Result:
    rows = (
        ResultRow(**(row | {"cells": {column: Entry(**cell) for column, cell in row["cells"].items()}}))
        for row in raw["rows"]
    )
    return Result(
        **(
            dict(raw)
            | {
                "seeds": tuple(raw["seeds"]),
                "rows": tuple(rows),
                "claims": tuple(ResultClaim(**claim) for claim in raw["claims"]),
            }
        )
    )
