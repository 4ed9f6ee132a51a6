"""Look up requested cells and tables; unknown names raise an error that lists the close matches."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from scripts.common.spelling import close_matches
from scripts.tables.settings import Row
from scripts.workflow.config import Config


class UnknownTarget(LookupError):
    """No cell or table has this name; the message lists the close matches."""


def known(kind: str, name: str, names: Collection[str]) -> str:
    """`name`, if it is one of `names`. Raises UnknownTarget."""
    if name not in names:
        raise UnknownTarget(f"no {kind} named {name!r}: {close_matches(name, names)}")
    return name


def row_of(config: Config, table: str, row: str, column: str) -> Row:
    """The row of a cell. Raises UnknownTarget if the table, the row or the column does not exist."""
    settings = config.tables[known("table", table, config.tables)]
    rows = {item.name: item for item in settings.rows}
    known(f"column of {table}", column, settings.columns)
    return rows[known(f"row of {table}", row, rows)]


def check(config: Config, target: str) -> None:
    """Raise UnknownTarget if `target` is the path of a cell or table that the configuration lacks.

    This runs before Snakemake starts; any other target is left to Snakemake.
    """
    path = Path(target).with_suffix("")
    match path.relative_to(config.results).parts if path.is_relative_to(config.results) else ():
        case ("cells", table, row, column):
            row_of(config, table, row, column)
        case ("cells", *parts):
            raise UnknownTarget(f"{'/'.join(parts)!r} is not a cell: a cell's name is TABLE/ROW/COLUMN")
        case ("tables", table):
            known("table", table, config.tables)
