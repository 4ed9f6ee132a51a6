"""Settings of the tables: rows are models, columns are benchmarks and their average."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from pydantic import Field, model_validator

from scripts.common.settings import Settings
from scripts.tables.measurement import AVERAGE

NAME = r"^[a-z0-9][a-z0-9-]*$"


class Row(Settings):
    """One row: a model, and the name that the row's cells have in their path."""

    name: str = Field(pattern=NAME)
    model: str
    title: str
    reported: dict[str, float] = Field(default={}, description="the paper's figures in points, by column")


class Claim(Settings):
    """A direction that the paper states: the row `better` scores above the row `worse` in `column`."""

    text: str
    better: str
    worse: str
    column: str
    reported: float | None = Field(default=None, description="the paper's difference in points")


class Table(Settings):
    """A table; its last column is the mean of the others."""

    title: str
    kind: Literal["main", "ablation"]
    columns: tuple[str, ...] = Field(min_length=2, description="benchmarks, then `average`")
    rows: tuple[Row, ...] = Field(min_length=1)
    claims: tuple[Claim, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Table:
        problems = [*self._row_problems(), *self._column_problems(), *self._claim_problems()]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _row_problems(self) -> Iterator[str]:
        names = [row.name for row in self.rows]
        if len(set(names)) != len(names):
            yield f"row names must be distinct: {names}"
        for row in self.rows:
            for column in row.reported:
                if column not in self.columns:
                    yield f"row {row.name!r} reports the column {column!r}; columns are {list(self.columns)}"

    def _column_problems(self) -> Iterator[str]:
        if self.columns[-1] != AVERAGE or len(set(self.columns)) != len(self.columns):
            yield f"columns must be distinct and end with `{AVERAGE}`: {list(self.columns)}"

    def _claim_problems(self) -> Iterator[str]:
        names = [row.name for row in self.rows]
        for claim in self.claims:
            for row in (claim.better, claim.worse):
                if row not in names:
                    yield f"claim {claim.text!r} names the row {row!r}; rows are {names}"
            if claim.better == claim.worse:
                yield f"claim {claim.text!r} compares the row {claim.better!r} with itself"
            if claim.column not in self.columns:
                yield f"claim {claim.text!r} names the column {claim.column!r}; columns are {list(self.columns)}"


class TrainingNoise(Settings):
    """How far a value moves if everything that is trained is trained again: standard deviations in points."""

    benchmark: float = Field(ge=0, description="of a model's value on one benchmark")
    average: float = Field(ge=0, description="of a model's average over a table's benchmarks")

    def by_column(self, columns: Iterable[str]) -> dict[str, float]:
        """The standard deviation for each column of a table."""
        return {column: self.average if column == AVERAGE else self.benchmark for column in columns}


class Reporting(Settings):
    """What tables must know about a scale to state how certain their numbers are."""

    training_noise: TrainingNoise | None = Field(
        default=None, description="measured for this scale; null if it is unknown, and the tables then say so"
    )


class TableSettings(Settings):
    """Settings of the step `table`."""

    name: str
    table: Table
    titles: dict[str, str] = Field(default={}, description="headings by column; a column without one shows its name")
    training_noise: TrainingNoise | None


class FunnelSettings(Settings):
    """Settings of the step `funnel`: the pools, each with its steps in the order in which they run."""

    pools: dict[str, tuple[str, ...]] = Field(min_length=1)


class FiguresSettings(Settings):
    """Settings of the step `figures`: which models share a figure, and how each model is trained."""

    tables: dict[str, Table]
    kinds: dict[str, str] = Field(description="kind of training by model; a kind not in `figures.PANELS` has no curve")


class ReportSettings(Settings):
    """Settings of the step `report`."""

    scale: str
    generations: int = Field(default=6, gt=0, description="prompts shown per model and benchmark")
    samples: int = Field(default=2, gt=0, description="generations shown per prompt; up to 64 are made")
    hits: int = Field(default=12, gt=0, description="decontamination hits shown")
    characters: int = Field(default=4000, gt=0, description="shown of a prompt, a response or a hit; cuts are marked")
