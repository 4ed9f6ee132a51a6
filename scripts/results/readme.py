"""Write the tables of README.md and docs/tiny.md from the reference, so that no figure in them is typed.

    python -m scripts.results.readme [--scale tiny]

A document marks a block by `<!-- reference: NAME -->` and `<!-- end of NAME -->`, each on a line of its own; this
command replaces what is between them. The blocks: `table NAME` (a table of seed 1), `claims` (each claim over seeds),
`claims by seed` (the same with every seed and test), and `spread` (how far rows vary between seeds).
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, partial

from scripts.common.fingerprint import ROOT
from scripts.results.reference_file import FIRST_SEED, Reference, ReferenceMissing, path_of, read_reference
from scripts.results.snapshot import Number
from scripts.tables.measurement import AVERAGE
from scripts.tables.render import error_note, paper, pipe, plain, score, signed
from scripts.tables.results import Entry, Result, ResultRow
from scripts.tables.seeds import ClaimOverSeeds, all_claims, claim_over_seeds, claims_markdown, combine
from scripts.tables.settings import Row, Table
from scripts.tables.statistics import interaction
from scripts.tables.table import headings
from scripts.workflow.config import Config, read

DOCUMENTS = (ROOT / "README.md", ROOT / "docs" / "tiny.md")
BLOCK = re.compile(r"^<!-- reference: (?P<name>.+) -->\n(?P<body>.*?)^<!-- end of (?P=name) -->$", re.M | re.S)
NO_SEEDS = "The reference has one seed: `make reproduce SEEDS=3`, then `make reference`, fills this in.\n"


class UnknownBlock(LookupError):
    """A document names a block that does not exist; the message lists those that do."""


def rendered(text: str, reference: Reference) -> str:
    """A document with its blocks made from the reference. Raises UnknownBlock."""
    return BLOCK.sub(lambda match: _block(match["name"], reference), text)


def _block(name: str, reference: Reference) -> str:
    blocks: dict[str, Callable[[Reference], str]] = {
        "claims": claims,
        "claims by seed": claims_by_seed,
        "spread": spread,
        **{f"table {table}": partial(one_table, table) for table in _config(reference.scale).tables},
    }
    if name not in blocks:
        raise UnknownBlock(f"no block {name!r} can be made from the reference; there are: {', '.join(blocks)}")
    return f"<!-- reference: {name} -->\n{blocks[name](reference)}<!-- end of {name} -->"


@cache
def _config(scale: str) -> Config:
    return read(scale)


def table_of(config: Config, name: str, cells: Mapping[str, Number], seed: int) -> Result:
    """A table of one seed from the reference's cells, without verdicts, for which it lacks the prompts' answers."""
    table = config.tables[name]
    noise = config.report.training_noise
    return Result(
        name=name,
        title=table.title,
        kind=table.kind,
        seeds=(seed,),
        spread="standard error over prompts",
        training_noise=noise.by_column(table.columns) if noise else None,
        columns=headings(table, {name: benchmark.title for name, benchmark in config.benchmarks.items()}),
        rows=tuple(_row(config, name, table, row, cells) for row in table.rows),
        claims=(),
    )


def _row(config: Config, name: str, table: Table, row: Row, cells: Mapping[str, Number]) -> ResultRow:
    entries = {column: _entry(config, cells[f"{name}/{row.name}/{column}"], row, column) for column in table.columns}
    return ResultRow(row.name, row.title, row.model, entries)


def _entry(config: Config, number: Number, row: Row, column: str) -> Entry:
    reported = row.reported.get(column)
    return Entry(
        value=number.value,
        stderr=number.stderr,
        sd=None,
        n=number.n,
        samples_per_prompt=None if column == AVERAGE else config.benchmarks[column].samples,
        reported=reported,
        difference=None if reported is None else number.value - reported,
    )


def one_table(name: str, reference: Reference) -> str:
    """A table of the first seed: values, errors, the paper's figures, and which noise the errors hold."""
    result = table_of(_config(reference.scale), name, reference.cells[FIRST_SEED], FIRST_SEED)
    lines = [pipe(["", *result.columns.values()]), pipe([":--", *("--:" for _ in result.columns)])]
    for row in result.rows:
        entries = [row.cells[column] for column in result.columns]
        shown = [score(entry) + (f" ({paper(entry)})" if paper(entry) else "") for entry in entries]
        lines.append(pipe([plain(row.title), *shown]))
    return "\n".join([*lines, "", f"Seed {FIRST_SEED}. Points of 100; {error_note(result)}.", ""])


def over_seeds(reference: Reference) -> tuple[list[list[Result]], list[Result]]:
    """Every table by seed, and combined with its claims tested over seeds; the main tables come first."""
    config, seeds = _config(reference.scale), sorted(reference.cells)
    names = sorted(config.tables, key=lambda name: (config.tables[name].kind != "main", name))
    by_seed = [[table_of(config, name, reference.cells[seed], seed) for seed in seeds] for name in names]
    combined = [
        replace(
            combine(results),
            claims=tuple(claim_over_seeds(results, claim) for claim in config.tables[results[0].name].claims),
        )
        for results in by_seed
    ]
    return by_seed, combined


def tested_claims(reference: Reference) -> list[ClaimOverSeeds]:
    """Every claim over the seeds of the reference, in the order of the tables."""
    return all_claims(*over_seeds(reference))


def claims(reference: Reference) -> str:
    """Each claim with the paper's difference, the measured one and the verdict."""
    if len(reference.cells) < 2:
        return NO_SEEDS
    lines = [
        pipe(["table", "claim", "paper", f"measured, {len(reference.cells)} seeds", "verdict"]),
        pipe([":--", ":--", "--:", "--:", ":--"]),
    ]
    for item in tested_claims(reference):
        claim = item.claim
        verdict = claim.verdict if claim.verdict == "within noise" else f"**{claim.verdict}**"
        measured = f"{signed(claim.difference)} ± {claim.stderr:.2f}"
        reported = "" if claim.reported is None else signed(claim.reported)
        lines.append(pipe([f"`{item.table}`", plain(claim.text), reported, measured, verdict]))
    return "\n".join([*lines, ""])


def claims_by_seed(reference: Reference) -> str:
    """Each claim with every seed's difference and its test: what `make reproduce SEEDS=n` writes as claims.md."""
    if len(reference.cells) < 2:
        return NO_SEEDS
    seeds = sorted(reference.cells)
    commits = ", ".join(sorted(set(reference.commits.values())))
    return claims_markdown(tested_claims(reference), seeds, commits)


def spread(reference: Reference) -> str:
    """For each table, the standard deviation of a row's average between seeds, after what all rows share."""
    if len(reference.cells) < 2:
        return NO_SEEDS
    lines = [pipe(["table", "rows", "sd of a row's average", "degrees of freedom"]), pipe([":--", "--:", "--:", "--:"])]
    squares, freedom = [], 0
    for results in over_seeds(reference)[0]:
        rows = [[result.row(row.name).cells[AVERAGE].value for result in results] for row in results[0].rows]
        degrees = (len(rows) - 1) * (len(results) - 1)
        squares.append(interaction(rows))
        freedom += degrees
        sd = math.sqrt(squares[-1] / degrees)
        lines.append(pipe([f"`{results[0].name}`", str(len(rows)), f"{sd:.2f}", str(degrees)]))
    pooled = math.sqrt(math.fsum(squares) / freedom)
    return "\n".join([*lines, pipe(["all", "", f"**{pooled:.2f}**", str(freedom)]), ""])


def update(reference: Reference) -> None:
    """Write the blocks of all documents anew."""
    for path in DOCUMENTS:
        before = path.read_text()
        after = rendered(before, reference)
        path.write_text(after)
        print(f"{path}: {'unchanged' if after == before else 'tables written anew'}")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.results.readme",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--scale", default="tiny")
    try:
        update(read_reference(path_of(parser.parse_args().scale)))
    except (ReferenceMissing, UnknownBlock) as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
