"""A table from its cells, as JSON, Markdown, CSV and LaTeX.

    python -m scripts.tables.table --recipe JSON --cells CELL... --out results/tiny/tables/TABLE.{json,md,csv,tex}

Shows value ± standard error over prompts, the paper's figure and the difference, and for each of the paper's
claims whether this seed shows it. Verdicts over several seeds: `python -m scripts.tables.seeds`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path

from scripts.common.step import step
from scripts.tables.cells import AVERAGE, Cell, CellError
from scripts.tables.render import RENDERERS
from scripts.tables.results import Entry, Result, ResultClaim, ResultRow
from scripts.tables.settings import Claim, Row, Table, TableSettings
from scripts.tables.statistics import Comparison, z_test

Cells = Mapping[tuple[str, str], Cell]
"""Cells by (row, column)."""


def read_cells(paths: Iterable[Path]) -> dict[tuple[str, str], Cell]:
    """Cells by the row and column that their paths name: `.../{row}/{column}.json`."""
    return {(path.parent.name, path.stem): Cell.read(path) for path in paths}


def assemble(settings: TableSettings, cells: Cells, seed: int) -> Result:
    """The table of one seed. Raises CellError on a cell that is missing, too many, or not its row's."""
    table = settings.table
    _check(table, cells)
    return Result(
        name=settings.name,
        title=table.title,
        kind=table.kind,
        seeds=(seed,),
        spread="standard error over prompts",
        columns={column: settings.titles.get(column, column) for column in table.columns},
        rows=tuple(_row(row, table.columns, cells) for row in table.rows),
        claims=tuple(_claim(claim, cells) for claim in table.claims),
    )


def judged(claim: Claim | ResultClaim, comparison: Comparison) -> ResultClaim:
    """A claim with what was measured about it."""
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
    """Write the table into `folder`, under each output's name in the form that its ending says."""
    for path in outputs:
        if path.suffix == ".json":
            result.write(folder / path.name)
        else:
            (folder / path.name).write_text(RENDERERS[path.suffix](result))


def _check(table: Table, cells: Cells) -> None:
    wanted = {(row.name, column) for row in table.rows for column in table.columns}
    if wrong := sorted(wanted ^ cells.keys()):
        raise CellError(f"cells missing or not of this table: {', '.join('/'.join(key) for key in wrong)}")
    for row in table.rows:
        others = [cells[row.name, column].value for column in table.columns[:-1]]
        mean = math.fsum(others) / len(others)
        if not math.isclose(cells[row.name, AVERAGE].value, mean, abs_tol=1e-9):
            found = cells[row.name, AVERAGE].value
            raise CellError(f"{row.name}/{AVERAGE} is {found}, but the row's other cells have the mean {mean}")
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


def _claim(claim: Claim, cells: Cells) -> ResultClaim:
    better, worse = cells[claim.better, claim.column], cells[claim.worse, claim.column]
    return judged(claim, z_test((better.value, better.stderr), (worse.value, worse.stderr)))


def main() -> None:
    with step(__spec__, inputs=("cells",), settings=TableSettings) as run:
        cells = read_cells(item.path for item in run.inputs["cells"])
        write_result(assemble(run.settings, cells, run.seed), run.outputs, run.out)


if __name__ == "__main__":
    main()
