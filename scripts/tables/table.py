"""Make a table from its cells, as JSON, Markdown, CSV and LaTeX.

    python -m scripts.tables.table --recipe JSON --cells CELL... --scores SCORE... \\
        --out results/tiny/tables/TABLE.{json,md,csv,tex}

A table shows each value ± its standard error over prompts, the paper's figure and the difference from it, and for each
of the paper's claims whether this one seed shows it. Verdicts over several seeds: `python -m scripts.tables.seeds`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path

from scripts.common.artifacts import read_json
from scripts.common.step import step
from scripts.tables.measurement import AVERAGE, POINTS, Cell, CellError
from scripts.tables.render import RENDERERS
from scripts.tables.results import Entry, Result, ResultClaim, ResultRow
from scripts.tables.settings import Claim, Row, Table, TableSettings
from scripts.tables.statistics import Comparison, Differences, paired_z_test

Cells = Mapping[tuple[str, str], Cell]
"""Cells by (row, column)."""
Prompts = Mapping[tuple[str, str], Mapping[str, float]]
"""By (model, benchmark): prompt id to the prompt's value in points."""


def read_cells(paths: Iterable[Path]) -> dict[tuple[str, str], Cell]:
    """The cells by row and column, which their paths name: `.../{row}/{column}.json`."""
    return {(path.parent.name, path.stem): Cell.read(path) for path in paths}


def read_prompts(paths: Iterable[Path]) -> dict[tuple[str, str], dict[str, float]]:
    """The prompts' values by model and benchmark, which the score files name."""
    scores = [read_json(path) for path in paths]
    return {
        (score["model"], score["benchmark"]): {item["id"]: POINTS * item["value"] for item in score["items"]}
        for score in scores
    }


def assemble(settings: TableSettings, cells: Cells, prompts: Prompts, seed: int) -> Result:
    """The table of one seed. Raises CellError if a cell is missing, of no row or column, or of another model."""
    table, noise = settings.table, settings.training_noise
    _check(table, cells)
    training_sd = noise.by_column(table.columns) if noise else None
    return Result(
        name=settings.name,
        title=table.title,
        kind=table.kind,
        seeds=(seed,),
        spread="standard error over prompts",
        training_noise=training_sd,
        columns=headings(table, settings.titles),
        rows=tuple(_row(row, table.columns, cells) for row in table.rows),
        claims=tuple(_claim(claim, table, cells, prompts, training_sd) for claim in table.claims),
    )


def headings(table: Table, titles: Mapping[str, str]) -> dict[str, str]:
    """Column to heading."""
    return {column: titles.get(column, column) for column in table.columns}


def measured_claim(claim: Claim | ResultClaim, comparison: Comparison) -> ResultClaim:
    """A claim with the comparison that was made to test it."""
    return ResultClaim(
        text=claim.text,
        better=claim.better,
        worse=claim.worse,
        column=claim.column,
        reported=claim.reported,
        difference=comparison.difference,
        stderr=comparison.stderr,
        p=comparison.p,
        test=comparison.test,
        verdict=comparison.verdict,
    )


def write_result(result: Result, outputs: Iterable[Path], folder: Path) -> None:
    """Write the table into `folder` once per output, in the format of the output's ending."""
    for path in outputs:
        if path.suffix == ".json":
            result.write(folder / path.name)
        else:
            (folder / path.name).write_text(RENDERERS[path.suffix](result))


def _check(table: Table, cells: Cells) -> None:
    wanted = {(row.name, column) for row in table.rows for column in table.columns}
    if wrong := sorted(wanted ^ cells.keys()):
        raise CellError(f"cells are missing or not of this table: {', '.join('/'.join(key) for key in wrong)}")
    for row in table.rows:
        others = [cells[row.name, column].value for column in table.columns[:-1]]
        mean = math.fsum(others) / len(others)
        if not math.isclose(cells[row.name, AVERAGE].value, mean, abs_tol=1e-9):
            value = cells[row.name, AVERAGE].value
            raise CellError(f"{row.name}/{AVERAGE} is {value}, but the mean of the row's other cells is {mean}")
        for column in table.columns:
            if cells[row.name, column].model != row.model:
                raise CellError(f"{row.name}/{column} is of {cells[row.name, column].model!r}, not of {row.model!r}")


def _row(row: Row, columns: Iterable[str], cells: Cells) -> ResultRow:
    return ResultRow(row.name, row.title, row.model, {column: _entry(cells[row.name, column]) for column in columns})


def _entry(cell: Cell) -> Entry:
    return Entry(
        value=cell.value,
        stderr=cell.stderr,
        sd=None,
        n=cell.n,
        samples_per_prompt=cell.samples_per_prompt,
        reported=cell.reported,
        difference=None if cell.reported is None else cell.value - cell.reported,
    )


def _claim(
    claim: Claim, table: Table, cells: Cells, prompts: Prompts, training_sd: Mapping[str, float] | None
) -> ResultClaim:
    models = {row.name: row.model for row in table.rows}
    columns = table.columns[:-1] if claim.column == AVERAGE else (claim.column,)
    pairs = [_differences(models[claim.better], models[claim.worse], name, prompts) for name in columns]
    comparison = paired_z_test(pairs, training_sd[claim.column] if training_sd else None)
    shown = cells[claim.better, claim.column].value - cells[claim.worse, claim.column].value
    if not math.isclose(comparison.difference, shown, abs_tol=1e-9):
        raise CellError(
            f"{claim.better} and {claim.worse} differ in {claim.column} by {shown} in the cells but by "
            f"{comparison.difference} in the scores: make the cells again"
        )
    return measured_claim(claim, comparison)


def _differences(better: str, worse: str, benchmark: str, prompts: Prompts) -> Differences:
    """Prompt by prompt. Raises CellError if a score is missing or the two models answered different prompts."""
    if missing := [f"{model}/{benchmark}" for model in (better, worse) if (model, benchmark) not in prompts]:
        raise CellError(f"scores are missing: {', '.join(missing)}: give --scores of every row and benchmark")
    first, second = prompts[better, benchmark], prompts[worse, benchmark]
    if unpaired := sorted(first.keys() ^ second.keys()):
        raise CellError(
            f"{benchmark}: {better} and {worse} answered different prompts, such as {unpaired[0]}: score them again"
        )
    return [value - second[prompt] for prompt, value in first.items()]


def main() -> None:
    with step(__spec__, inputs=("cells", "scores"), settings=TableSettings) as run:
        cells = read_cells(item.path for item in run.inputs["cells"])
        prompts = read_prompts(item.path for item in run.inputs["scores"])
        write_result(assemble(run.settings, cells, prompts, run.seed), run.outputs, run.out)


if __name__ == "__main__":
    main()
