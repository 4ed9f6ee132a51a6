"""Build a data set of an exact size: filter the origin, share out the domains, select, shuffle, write with a card.

For SFT a record's messages end with the chosen response; for RL they are the prompt alone, with the answer
that rewards are computed from. Of several accepted responses to a prompt one is drawn evenly. Draws hang on
seed and record alone: two data sets with the same filters and size hold the same prompts.

python -m scripts.mix.build --recipe JSON (--pool | --verdicts | --graded | --sources) MANIFEST... \\
    [--vectors MANIFEST] --out MANIFEST
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from scripts.common.artifacts import CARD
from scripts.common.records import KEPT, SCHEMA, iterate, prompt_messages, shards, write
from scripts.common.step import Run, step
from scripts.mix.candidates import Candidate, columns_needed, draw, gather
from scripts.mix.card import Tally, card
from scripts.mix.quotas import MixError, Mixture, quotas
from scripts.mix.select import Domain, Vectors, choose
from scripts.mix.settings import BuildSettings, Dataset
from scripts.mix.shuffle import in_order

ORIGINS = ("pool", "verdicts", "graded", "sources")
REQUIRED = {
    "verdicts": {"teacher", "sample", "response", "thinking", "accepted"},
    "graded": {"band", "degenerate"},
}
"""Columns that an origin must have besides those of every record."""
ADDED = ("teacher", "band", "pass_rate")
"""Columns of the origin that the data set keeps besides those of every record."""


def build(
    folders: list[Path], settings: BuildSettings, seed: int, out: Path, work: Path, vectors: Path | None = None
) -> dict[str, Any]:
    """Write `records/` and `README.md` from the records in `folders`; the counts of the manifest.

    `vectors` holds the prompts' vectors where the settings name an encoder.
    """
    files = [shard for folder in folders for shard in shards(folder)]
    schema = pa.unify_schemas([pq.read_schema(file) for file in files])
    dataset = settings.dataset
    candidates, excluded = gather(read(folders, columns_needed(dataset, schema.names)), dataset, seed)
    if not candidates:
        rows = sum(pq.read_metadata(file).num_rows for file in files)
        why = f"its filters: {dict(excluded)}" if rows else "earlier steps: what it is made from holds no record"
        raise MixError(f"datasets.{settings.name}: nothing is left after {why}")
    try:
        chosen = select(candidates, folders, settings, seed, vectors)
    except MixError as error:
        raise MixError(f"{error}. Excluded before: {dict(excluded)}") from None
    order = sorted(chosen, key=lambda item: draw(seed, "shuffle", item.id, str(item.row)))
    rows = in_order(folders, [item.row for item in order], work / "rows")
    kept = pa.schema([*SCHEMA, *(schema.field(name) for name in ADDED if name in schema.names)])
    tally = Tally(kept.names)
    write(out / KEPT, finished(rows, dataset, tally), kept)
    made = dataset.model_dump(mode="json", exclude_defaults=True) | {"seed": seed}
    left = Counter(item.domain for item in candidates) - Counter(item.domain for item in chosen)
    absent = dict(sorted(excluded.items())) | ({"not selected": left.total()} if left else {})
    text = card(settings.name, dataset.purpose, tally, settings.licences, absent, made)
    (out / CARD).write_text(text)
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


def select(
    candidates: list[Candidate], folders: list[Path], settings: BuildSettings, seed: int, encoded: Path | None
) -> list[Candidate]:
    """The candidates that make the exact size: the domains' and sources' quotas, each filled as `select` says."""
    dataset = settings.dataset
    domains: dict[str, list[Candidate]] = defaultdict(list)
    for item in candidates:
        domains[item.domain].append(item)
    cells = quotas(_mixture(settings), {name: _by_source(items) for name, items in sorted(domains.items())})
    limited = dataset.shares_sources
    chosen = []
    for name, cell in cells.items():
        items, size = domains[name], sum(cell.values())
        looked_at = dataset.select.kind != "random" and 0 < size < len(items)
        vectors = _embedded(items, folders, settings, seed, encoded) if looked_at else None
        domain = Domain([item.id for item in items], [item.source for item in items], vectors)
        chosen += [items[i] for i in choose(dataset.select, domain, size, seed, cell if limited else None)]
        print(f"{size} of {len(items)} candidates of {name or 'no domain'}", flush=True)
    return chosen


def _mixture(settings: BuildSettings) -> Mixture:
    dataset = settings.dataset
    ratios = None if dataset.ratios is None else {str(domain): weight for domain, weight in dataset.ratios.items()}
    return Mixture(
        settings.name, dataset.size, ratios, dataset.source_ratios, dataset.temperature, dataset.cap_counts()
    )


def _embedded(
    items: list[Candidate], folders: list[Path], settings: BuildSettings, seed: int, encoded: Path | None
) -> Vectors:
    from scripts.mix.embed import embedded, looked_up  # scikit-learn takes seconds to import

    if encoded is not None:
        return looked_up(items, encoded, settings.name)
    return embedded(items, folders, settings.dataset.select, seed)


def _by_source(items: Iterable[Candidate]) -> dict[str, int]:
    return dict(sorted(Counter(item.source for item in items).items()))


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
    """The folders of records, given as what the data set is made from and with the columns that its filters need."""
    dataset, given = run.settings.dataset, [name for name in ORIGINS if run.inputs[name]]
    wanted = next(option for option, value in _stated(dataset) if value is not None)
    if given != [wanted]:
        raise MixError(f"datasets.{run.settings.name} is made from --{wanted}; given are {given or 'no manifests'}")
    folders = [item.folder / KEPT for item in run.inputs[wanted]]
    for file in (shard for folder in folders for shard in shards(folder)):
        if missing := REQUIRED.get(wanted, set()).difference(pq.read_schema(file).names):
            raise MixError(f"{file} has no column {', '.join(sorted(missing))}: it is no artifact for --{wanted}")
    return folders


def _vectors(run: Run[BuildSettings]) -> Path | None:
    given, encoder = run.inputs["vectors"], run.settings.dataset.select.encoder
    if bool(given) != bool(encoder):
        raise MixError(
            f"datasets.{run.settings.name}: select.encoder is {encoder}, but {len(given)} --vectors are given"
        )
    return given[0].folder / KEPT if given else None


def _stated(dataset: Dataset) -> list[tuple[str, object]]:
    return list(zip(ORIGINS, (dataset.pool, dataset.responses, dataset.graded, dataset.sources), strict=True))


def main() -> None:
    with step(__spec__, inputs=(*ORIGINS, "vectors"), settings=BuildSettings) as run:
        run.counts |= build(_origin(run), run.settings, run.seed, run.out, run.work, _vectors(run))


if __name__ == "__main__":
    main()
