"""Make the tables over several seeds: mean ± standard error, and a verdict on each claim by a test over seeds.

    python -m scripts.tables.seeds --out results/tiny-seeds results/tiny results/tiny-seed-2 results/tiny-seed-3

Each folder is the results of one seed with its `tables/`. The command writes {table}.json, .md, .csv and .tex for every
table, all verdicts as claims.md and one page with both as report.html; then it prints the tables. For the test, see
`scripts.tables.statistics`.
"""

from __future__ import annotations

import argparse
import math
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from scripts.common.artifacts import open_artifact, read_json, run_path
from scripts.tables.page.html import render
from scripts.tables.page.view import verdicts
from scripts.tables.render import RENDERERS, p_value, pipe, plain, signed, verdict_note
from scripts.tables.results import Entry, Result, ResultClaim, read_result
from scripts.tables.settings import Claim
from scripts.tables.statistics import ALPHA, block_t_test, mean_and_sd
from scripts.tables.table import measured_claim, write_result
from scripts.tables.terminal import show

CLAIMS, REPORT = "claims.md", "report.html"


class SeedsError(ValueError):
    """The folders do not hold the same tables of different seeds."""


@dataclass(frozen=True)
class ClaimOverSeeds:
    """A claim that was tested over seeds."""

    table: str
    column: str
    """Heading of the claim's column."""
    claim: ResultClaim
    by_seed: tuple[float, ...]
    """The difference with each seed (points)."""


def combine(results: Sequence[Result]) -> Result:
    """One table of several seeds. Raises SeedsError if the tables differ in more than their seeds and numbers."""
    first = results[0]
    seeds = tuple(seed for result in results for seed in result.seeds)
    if len(results) < 2 or len(set(seeds)) != len(seeds):
        raise SeedsError(f"table {first.name}: give at least two results of distinct seeds, not of the seeds {seeds}")
    for result in results[1:]:
        if _shape(result) != _shape(first):
            raise SeedsError(
                f"table {first.name}: rows, columns or claims differ between seeds {seeds}: make them again"
            )
    return replace(
        first,
        seeds=seeds,
        spread=f"standard error over {len(seeds)} seeds",
        training_noise=None,
        rows=tuple(
            replace(row, cells={column: _entry(results, row.name, column) for column in first.columns})
            for row in first.rows
        ),
        claims=tuple(claim_over_seeds(results, claim) for claim in first.claims),
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


def claim_over_seeds(results: Sequence[Result], claim: Claim | ResultClaim) -> ResultClaim:
    """Test a claim over the seeds of one table's results."""
    names = [row.name for row in results[0].rows]
    values = [_values(results, name, claim.column) for name in names]
    return measured_claim(claim, block_t_test(values, names.index(claim.better), names.index(claim.worse)))


def _values(results: Sequence[Result], row: str, column: str) -> list[float]:
    return [result.row(row).cells[column].value for result in results]


def all_claims(tables: Sequence[Sequence[Result]], combined: Sequence[Result]) -> list[ClaimOverSeeds]:
    """Every claim of all tables in their order; `tables[i]` holds the results by seed of `combined[i]`."""
    return [
        ClaimOverSeeds(one.name, one.columns[claim.column], claim, _by_seed(results, claim))
        for one, results in zip(combined, tables, strict=True)
        for claim in one.claims
    ]


def _by_seed(results: Sequence[Result], claim: ResultClaim) -> tuple[float, ...]:
    better, worse = (_values(results, row, claim.column) for row in (claim.better, claim.worse))
    return tuple(a - b for a, b in zip(better, worse, strict=True))


def claims_markdown(claims: Sequence[ClaimOverSeeds], seeds: Sequence[int], commits: str) -> str:
    """The verdicts on all claims as one Markdown table."""
    verdicts = Counter(item.claim.verdict for item in claims)
    counted = ", ".join(f"{verdict} {number}" for verdict, number in sorted(verdicts.items()))
    return "\n".join(
        [
            pipe(["table", "claim", "column", "paper", "measured", "by seed", "test", "verdict"]),
            pipe([":--", ":--", ":--", "--:", "--:", "--:", ":--", ":--"]),
            *map(_claim_row, claims),
            "",
            f"Points of 100; *measured* is the mean difference over the seeds {', '.join(map(str, seeds))} ± its "
            f"standard error. The t test of a block design (seeds are blocks, rows are treatments) is two-sided at the "
            f"{ALPHA:.0%} level and not corrected for the number of claims: {counted}. Made at commit {commits}.",
            "",
        ]
    )


def _claim_row(item: ClaimOverSeeds) -> str:
    claim = item.claim
    return pipe(
        [
            f"`{item.table}`",
            plain(claim.text),
            plain(item.column),
            "" if claim.reported is None else signed(claim.reported),
            f"{signed(claim.difference)} ± {claim.stderr:.2f}",
            ", ".join(map(signed, item.by_seed)),
            f"{claim.test}, {p_value(claim.p)}",
            f"**{claim.verdict}**",
        ]
    )


def table_names(folders: Sequence[Path]) -> list[str]:
    """The names of the tables, the same in every folder. Raises SeedsError if a folder lacks a table."""
    names_by_folder = [sorted(path.stem for path in (folder / "tables").glob("*.json")) for folder in folders]
    for folder, names in zip(folders, names_by_folder, strict=True):
        if missing := sorted({name for other in names_by_folder for name in other} - set(names)):
            raise SeedsError(f"{folder}/tables lacks {', '.join(missing)}: make them, or leave the folder out")
    if not names_by_folder[0]:
        raise SeedsError(f"{folders[0]}/tables holds no table: run `make reproduce` first")
    return names_by_folder[0]


def made_at(paths: Sequence[Path]) -> str:
    """The commits at which some files were made; a `+` after a commit stands for uncommitted changes."""
    records = [read_json(run_path(path)) for path in paths]
    commits = {f"{(record['commit'] or 'unknown')[:10]}{'+' if record['dirty'] else ''}" for record in records}
    return ", ".join(sorted(commits))


def write(folders: Sequence[Path], out: Path) -> list[Result]:
    """Combine the tables of several seeds' folders into `out`; returns them, the main ones first."""
    names = table_names(folders)
    out.mkdir(parents=True, exist_ok=True)
    paths = {name: [open_artifact(folder / "tables" / f"{name}.json").path for folder in folders] for name in names}
    tables = [[read_result(path) for path in paths[name]] for name in names]
    tables.sort(key=lambda results: results[0].kind != "main")
    combined = [combine(results) for results in tables]
    for result in combined:
        write_result(result, [Path(f"{result.name}{ending}") for ending in (".json", *RENDERERS)], out)
    claims, commits = all_claims(tables, combined), made_at([path for of_table in paths.values() for path in of_table])
    seeds = combined[0].seeds
    (out / CLAIMS).write_text(claims_markdown(claims, seeds, commits))
    links = {seed: os.path.relpath(folder / REPORT, out) for seed, folder in zip(seeds, folders, strict=True)}
    page = render(
        "seeds.html.j2",
        results=combined,
        claims=claims,
        verdicts=verdicts(combined),
        verdict_note=verdict_note(combined[0]),
        seeds=links,
        commits=commits,
    )
    (out / REPORT).write_text(page)
    return combined


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m scripts.tables.seeds", description=__doc__)
    parser.add_argument("results", nargs="+", type=Path, help="folders of one seed each")
    parser.add_argument("--out", required=True, type=Path, help="folder for the combined tables")
    arguments = parser.parse_args()
    try:
        combined = write(arguments.results, arguments.out)
    except SeedsError as error:
        raise SystemExit(str(error)) from None
    show(combined)
    print(f"All verdicts: {arguments.out / CLAIMS}\nReport: {arguments.out / REPORT}")


if __name__ == "__main__":
    main()
