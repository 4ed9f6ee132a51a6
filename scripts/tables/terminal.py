"""The headline tables in the terminal, at the end of `make reproduce`.

    python -m scripts.tables.terminal results/tiny [--all]

Value ± standard error, the paper's figure and the difference below it where known, then the claims.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from scripts.common.artifacts import open_artifact
from scripts.tables.render import caption, claim_numbers, paper, score
from scripts.tables.results import Entry, Result, ResultClaim, main_first, read_result

PLAIN_WIDTH = 160  # columns, where the output is no terminal and has no width of its own
VERDICT_STYLE = {"seen": "green", "not seen": "red", "within noise": "yellow"}


def grid(result: Result, plain: bool) -> Table:
    """The numbers. `plain` draws with ASCII and no colour."""
    table = Table(
        title=Text(result.title, style="bold"),
        title_justify="left",
        caption=Text(caption(result)),
        caption_justify="left",
        box=box.ASCII2 if plain else box.SIMPLE_HEAD,
    )
    table.add_column("")
    for column, title in result.columns.items():
        table.add_column(Text(title), justify="right", no_wrap=True, style="bold" if column == "average" else "")
    for row in result.rows:
        table.add_row(Text(row.title), *(_cell(row.cells[column]) for column in result.columns))
    return table


def _cell(entry: Entry) -> Text:
    text = Text(score(entry))
    if paper(entry):
        text.append(f"\n{paper(entry)}", style="dim")
    return text


def _claim(claim: ResultClaim) -> Text:
    text = Text(f"  {claim.verdict:<13}", style=VERDICT_STYLE[claim.verdict])
    text.append(claim.text, style="default")
    return text.append(f"  {claim_numbers(claim)}", style="dim")


def page(results: list[Result], plain: bool) -> RenderableType:
    """All tables, each with its claims below."""
    parts: list[RenderableType] = []
    for result in results:
        parts += [grid(result, plain), *map(_claim, result.claims), Text("")]
    return Group(*parts)


def read_tables(folder: Path, every: bool) -> list[Result]:
    """The tables of a results folder, the main ones alone unless `every`. Raises FileNotFoundError on none."""
    paths = sorted((folder / "tables").glob("*.json"))
    results = main_first(read_result(open_artifact(path).path) for path in paths)
    chosen = [result for result in results if every or result.kind == "main"]
    if not chosen:
        raise FileNotFoundError(f"{folder}/tables holds no table to show: run `make reproduce`, or give another folder")
    return chosen


def show(results: list[Result]) -> None:
    """Print tables with their claims: in colour on a terminal, in plain ASCII grids elsewhere."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PLAIN_WIDTH)
    console.print(page(results, plain=not console.is_terminal))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m scripts.tables.terminal", description=__doc__)
    parser.add_argument("results", type=Path, help="results folder of a scale")
    parser.add_argument("--all", action="store_true", help="the ablations too")
    arguments = parser.parse_args()
    try:
        show(read_tables(arguments.results, arguments.all))
    except FileNotFoundError as error:
        raise SystemExit(str(error)) from None
    report = arguments.results / "report.html"
    if report.is_file():
        print(f"Report: {report}")


if __name__ == "__main__":
    main()
