"""Settings of the tables: rows are models, columns benchmarks and their average."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from scripts.common.settings import Settings

AVERAGE = "average"
NAME = r"^[a-z0-9][a-z0-9-]*$"


class Row(Settings):
    """One row: a model under the name that its cells carry."""

    name: str = Field(pattern=NAME)
    model: str
    title: str
    reported: dict[str, float] = Field(default={}, description="the paper's figures in points, by column")


class Claim(Settings):
    """A direction that the paper states: `better` scores above `worse` in `column`."""

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
        names = [row.name for row in self.rows]
        if len(set(names)) != len(names):
            raise ValueError(f"row names must be distinct: {names}")
        if (
            self.columns[-1] != AVERAGE
            or self.columns.count(AVERAGE) != 1
            or len(set(self.columns)) != len(self.columns)
        ):
            raise ValueError(f"columns must be distinct and end with `{AVERAGE}`: {list(self.columns)}")
        for claim in self.claims:
            for row in (claim.better, claim.worse):
                if row not in names:
                    raise ValueError(f"claim {claim.text!r} names the row {row!r}; rows are {names}")
            if claim.column not in self.columns:
                raise ValueError(f"claim {claim.text!r} names the column {claim.column!r}; columns are {self.columns}")
        return self
