"""Show the tables in the terminal, at the end of `make reproduce`.

    python -m scripts.tables.terminal results/tiny [--all]

Each cell shows value ± standard error and, below, the paper's figure and the difference from it if the paper gives one.
The claims follow. In a window that is too narrow, the error is below its value. Without `--all`, only the main tables
are shown.
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
from scripts.tables.render import caption, claim_numbers, claims_heading, paper, score, verdict_note
from scripts.tables.results import Entry, Result, main_first, read_result

PLAIN_WIDTH = 160  # columns, if the output is not a terminal and so has no width of its own
UNBOUNDED = 10_000  # columns: wider than any table
VERDICT_STYLE = {"seen": "green", "not seen": "red", "within noise": "yellow"}


def grid(result: Result, plain: bool, stacked: bool = False) -> Table:
    """The numbers. `plain` uses ASCII and no colour; `stacked` puts each part of a cell on a line of its own."""
    table = Table(
        title=Text(result.title, style="bold"),
        title_justify="left",
        caption=Text(caption(result)),
        caption_justify="left",
        box=box.ASCII2 if plain else box.SIMPLE_HEAD,
        leading=1 if stacked else 0,
    )
    table.add_column("", overflow="fold")
    for column, title in result.columns.items():
        style = "bold" if column == "average" else ""
        table.add_column(Text(title), justify="right", no_wrap=not stacked, overflow="fold", style=style)
    for row in result.rows:
        table.add_row(Text(row.title), *(_cell(row.cells[column], stacked) for column in result.columns))
    return table


def _cell(entry: Entry, stacked: bool) -> Text:
    number, behind = score(entry), paper(entry)
    if stacked:
        number, behind = number.replace(" ± ", "\n± "), behind.replace(", ", "\n")
    text = Text(number)
    return text.append(f"\n{behind}", style="dim") if behind else text


def _claims(result: Result) -> Table:
    """One line per claim under a heading; a text that does not fit continues on the next line."""
    table = Table.grid(padding=(0, 1))
    table.title, table.title_justify, table.title_style = Text(claims_heading(result)), "left", ""
    table.add_column(no_wrap=True)
    table.add_column()
    for claim in result.claims:
        text = Text(claim.text).append(f"  {claim_numbers(claim)}", style="dim")
        table.add_row(Text(f"  {claim.verdict:<12}", style=VERDICT_STYLE[claim.verdict]), text)
    return table


def page(results: list[Result], console: Console) -> RenderableType:
    """All tables, each followed by its claims, as wide as the console allows; then what the verdicts mean."""
    parts: list[RenderableType] = []
    for result in results:
        plain = not console.is_terminal
        wide = grid(result, plain)
        fits = console.measure(wide, options=console.options.update(width=UNBOUNDED)).maximum <= console.width
        parts.append(wide if fits else grid(result, plain, stacked=True))
        parts += [_claims(result), Text("")] if result.claims else []
    tested = [result for result in results if result.claims]
    return Group(*parts, *[Text(verdict_note(result)) for result in tested[:1]])


def read_tables(folder: Path, every: bool) -> list[Result]:
    """The tables of a results folder: all if `every`, else the main ones. Raises FileNotFoundError without any."""
    paths = sorted((folder / "tables").glob("*.json"))
    results = main_first(read_result(open_artifact(path).path) for path in paths)
    chosen = [result for result in results if every or result.kind == "main"]
    if not chosen:
        raise FileNotFoundError(f"{folder}/tables holds no table to show: run `make reproduce`, or name another folder")
    return chosen


def show(results: list[Result]) -> None:
    """Print tables with their claims: in colour on a terminal, else as plain ASCII grids."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PLAIN_WIDTH)
    console.print(page(results, console))


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
