"""Build a data set of an exact size: filter the origin, share out the domains, select, shuffle, write with a card.

For SFT a record's messages end with the chosen response; for RL they are the prompt alone, with the answer
that rewards are computed from. Of several accepted responses to a prompt one is drawn evenly. Draws hang on
seed and record alone: two data sets with the same filters and size hold the same prompts.

python -m scripts.mix.build --recipe JSON (--pool | --verdicts | --graded | --sources) MANIFEST... --out MANIFEST
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from scripts.common.records import KEPT, SCHEMA, iterate, prompt_messages, prompt_of, shards, write
from scripts.common.step import Run, step
from scripts.mix.candidates import Candidate, columns_needed, draw, gather
from scripts.mix.card import Tally, card
from scripts.mix.quotas import MixError, quotas
from scripts.mix.select import choose
from scripts.mix.settings import BuildSettings, Dataset

ORIGINS = ("pool", "verdicts", "graded", "sources")
ADDED = ("teacher", "band", "pass_rate")
"""Columns of the origin that the data set keeps besides those of every record."""


def build(folders: list[Path], settings: BuildSettings, seed: int, out: Path) -> dict[str, Any]:
    """Write `records/` and `README.md` from the records in `folders`; the counts of the manifest."""
    schema = pa.unify_schemas([pq.read_schema(shard) for folder in folders for shard in shards(folder)])
    dataset = settings.dataset
    rows = read(folders, columns_needed(dataset, schema.names))
    candidates, excluded = gather(rows, dataset, seed)
    if not candidates:
        raise MixError(f"datasets.{settings.name}: nothing is left after its filters: {dict(excluded)}")
    chosen = select(candidates, folders, settings, seed)
    kept = pa.schema([*SCHEMA, *(schema.field(name) for name in ADDED if name in schema.names)])
    tally = Tally(kept.names)
    write(out / KEPT, finished(shuffled(folders, chosen, seed), dataset, tally), kept)
    made = dataset.model_dump(mode="json", exclude_defaults=True) | {"seed": seed}
    (out / "README.md").write_text(card(settings.name, dataset.purpose, tally, settings.licences, made))
    left = Counter(item.domain for item in candidates) - Counter(item.domain for item in chosen)
    return _books(chosen, excluded, left) | tally.counts() | {"words": tally.percentiles()}


def _books(chosen: list[Candidate], excluded: Counter[str], left: Counter[str]) -> dict[str, Any]:
    return {
        "in": len(chosen) + excluded.total() + left.total(),
        "kept": len(chosen),
        "excluded": dict(sorted(excluded.items())),
        "not_selected": dict(sorted(left.items())),
    }


def read(folders: Iterable[Path], columns: list[str] | None = None) -> Iterator[dict[str, Any]]:
    """The rows of all folders in order; their numbers are the candidates' `row`."""
    return chain.from_iterable(iterate(folder, columns) for folder in folders)


def select(candidates: list[Candidate], folders: list[Path], settings: BuildSettings, seed: int) -> list[Candidate]:
    """The candidates that make the exact size: the domains' quotas, each filled as `select` says."""
    dataset = settings.dataset
    by_domain: dict[str, list[Candidate]] = defaultdict(list)
    for item in candidates:
        by_domain[item.domain].append(item)
    available = {domain: len(items) for domain, items in sorted(by_domain.items())}
    weights = {str(domain): weight for domain, weight in (dataset.ratios or available).items()}
    wanted = quotas(settings.name, weights, dataset.size, available)
    prompts = {} if dataset.select.kind == "random" else _prompts(candidates, folders)
    chosen = []
    for domain, size in wanted.items():
        items = by_domain[domain]
        texts = [prompts.get(item.row, "") for item in items]
        chosen += [items[i] for i in choose(dataset.select, [item.id for item in items], texts, size, seed)]
    return chosen


def _prompts(candidates: list[Candidate], folders: list[Path]) -> dict[int, str]:
    rows = {item.row for item in candidates}
    return {i: prompt_of(row["messages"]) for i, row in enumerate(read(folders, ["messages"])) if i in rows}


def shuffled(folders: list[Path], chosen: list[Candidate], seed: int) -> Iterator[dict[str, Any]]:
    """The chosen rows in an order drawn by the seed; they alone are in memory."""
    wanted = {item.row for item in chosen}
    rows = {number: row for number, row in enumerate(read(folders)) if number in wanted}
    order = sorted(chosen, key=lambda item: draw(seed, "shuffle", item.id, str(item.row)))
    return (rows[item.row] for item in order)


def finished(rows: Iterable[dict[str, Any]], dataset: Dataset, tally: Tally) -> Iterator[dict[str, Any]]:
    """The rows with the messages that the purpose wants, counted."""
    for row in rows:
        if dataset.purpose == "rl":
            row["messages"] = prompt_messages(row["messages"])
        elif dataset.responses is not None:
            row["messages"] = [*prompt_messages(row["messages"]), {"role": "assistant", "content": row["response"]}]
        tally.add(row)
        yield row


def _origin(run: Run[BuildSettings]) -> list[Path]:
    given = [name for name in ORIGINS if run.inputs[name]]
    if len(given) != 1:
        raise MixError(f"give exactly one of {', '.join('--' + name for name in ORIGINS)}; found {given or 'none'}")
    return [item.folder / KEPT for item in run.inputs[given[0]]]


def main() -> None:
    with step(__spec__, inputs=ORIGINS, settings=BuildSettings) as run:
        run.counts |= build(_origin(run), run.settings, run.seed, run.out)


if __name__ == "__main__":
    main()
