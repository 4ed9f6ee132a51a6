"""Tables over several seeds: mean ± standard deviation, and the verdict on each claim by a paired t test.

    python -m scripts.tables.seeds --out results/tiny-seeds results/tiny results/tiny-seed-2 results/tiny-seed-3

Each folder is one seed's results with its `tables/`. Writes {table}.json, .md, .csv and .tex for every table, and
prints them all.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from scripts.common.artifacts import open_artifact
from scripts.tables.render import RENDERERS
from scripts.tables.results import Entry, Result, ResultClaim, read_result
from scripts.tables.statistics import mean_and_sd, paired_t_test
from scripts.tables.table import judged, write_result
from scripts.tables.terminal import show


class SeedsError(ValueError):
    """The results given are not the same tables of different seeds."""


def combine(results: Sequence[Result]) -> Result:
    """One table of several seeds. Raises SeedsError unless they differ in their seed and numbers alone."""
    first = results[0]
    seeds = tuple(seed for result in results for seed in result.seeds)
    if len(results) < 2 or len(set(seeds)) != len(seeds):
        raise SeedsError(f"table {first.name}: give at least two results of distinct seeds; given seeds {seeds}")
    for result in results[1:]:
        if _shape(result) != _shape(first):
            raise SeedsError(f"table {first.name}: rows, columns or claims differ between seeds {seeds}: remake them")
    return replace(
        first,
        seeds=seeds,
        spread=f"standard deviation over {len(seeds)} seeds",
        rows=tuple(
            replace(row, cells={column: _entry(results, row.name, column) for column in first.columns})
            for row in first.rows
        ),
        claims=tuple(_claim(results, claim) for claim in first.claims),
    )


def _shape(result: Result) -> object:
    claims = [(claim.text, claim.better, claim.worse, claim.column) for claim in result.claims]
    return result.columns, [(row.name, row.model) for row in result.rows], claims


def _entry(results: Sequence[Result], row: str, column: str) -> Entry:
    entries = [result.row(row).cells[column] for result in results]
    value, sd = mean_and_sd([entry.value for entry in entries])
    stderr, reported = sd / math.sqrt(len(entries)), entries[0].reported
    difference = None if reported is None else value - reported
    return replace(entries[0], value=value, stderr=stderr, sd=sd, difference=difference)


def _claim(results: Sequence[Result], claim: ResultClaim) -> ResultClaim:
    better = [result.row(claim.better).cells[claim.column].value for result in results]
    worse = [result.row(claim.worse).cells[claim.column].value for result in results]
    return judged(claim, paired_t_test(better, worse))


def table_names(folders: Sequence[Path]) -> list[str]:
    """The tables that every folder has. Raises SeedsError naming a folder that lacks one."""
    found = [sorted(path.stem for path in (folder / "tables").glob("*.json")) for folder in folders]
    for folder, names in zip(folders, found, strict=True):
        if missing := sorted({name for other in found for name in other} - set(names)):
            raise SeedsError(f"{folder}/tables lacks {', '.join(missing)}: make them, or leave the folder out")
    if not found[0]:
        raise SeedsError(f"{folders[0]}/tables holds no table: run `make reproduce` first")
    return found[0]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m scripts.tables.seeds", description=__doc__)
    parser.add_argument("results", nargs="+", type=Path, help="folders of one seed each")
    parser.add_argument("--out", required=True, type=Path, help="folder for the combined tables")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    combined = []
    for name in table_names(arguments.results):
        opened = [open_artifact(folder / "tables" / f"{name}.json") for folder in arguments.results]
        combined.append(combine([read_result(item.path) for item in opened]))
        write_result(combined[-1], [Path(f"{name}{ending}") for ending in (".json", *RENDERERS)], arguments.out)
    show(sorted(combined, key=lambda result: result.kind != "main"))
    print(f"Written to {arguments.out}")


if __name__ == "__main__":
    main()
