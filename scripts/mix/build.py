"""Build a data set of an exact size: filter the origin, divide the size among domains, select, shuffle, write a card.

The origin is what the data set is made from: a pool, verdicts on responses, graded prompts, or raw sources. For SFT a
record's messages end with the chosen response; for RL they are only the prompt, and the record's answer is what rewards
are computed from. Of several accepted responses to a prompt one is drawn at random. Each draw depends only on seed and
record: two data sets with the same filters and size hold the same prompts.

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
from scripts.common.records import RECORDS, SCHEMA, iterate, prompt_messages, shards, write
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
"""Columns that an origin must have in addition to those of every record."""
ADDED = ("teacher", "band", "pass_rate")
"""Columns that the data set keeps, if the origin has them, in addition to those of every record."""


def build(
    folders: list[Path], settings: BuildSettings, seed: int, out: Path, work: Path, vectors: Path | None = None
) -> dict[str, Any]:
    """Write `records/` and `README.md` from the records in `folders`; return the counts of the manifest.

    `vectors` is the folder of the prompts' vectors if the settings name an encoder. Raises MixError if no record is
    left, or if the data set cannot have its size.
    """
    files = [shard for folder in folders for shard in shards(folder)]
    schema = pa.unify_schemas([pq.read_schema(file) for file in files])
    dataset = settings.dataset
    candidates, excluded = gather(read(folders, columns_needed(dataset, schema.names)), dataset, seed)
    if not candidates:
        rows = sum(pq.read_metadata(file).num_rows for file in files)
        cause = f"its filters: {dict(excluded)}" if rows else "earlier steps: what it is made from holds no record"
        raise MixError(f"datasets.{settings.name}: no record is left after {cause}")
    try:
        chosen = select(candidates, folders, settings, seed, vectors)
    except MixError as error:
        raise MixError(f"{error}. Excluded before: {dict(excluded)}") from None
    order = sorted(chosen, key=lambda item: draw(seed, "shuffle", item.id, str(item.row)))
    rows = in_order(folders, [item.row for item in order], work / "rows")
    kept = pa.schema([*SCHEMA, *(schema.field(name) for name in ADDED if name in schema.names)])
    tally = Tally(kept.names)
    write(out / RECORDS, with_final_messages(rows, dataset, tally), kept)
    recipe = dataset.model_dump(mode="json", exclude_defaults=True) | {"seed": seed}
    not_selected = Counter(item.domain for item in candidates) - Counter(item.domain for item in chosen)
    left_out = dict(sorted(excluded.items())) | ({"not selected": not_selected.total()} if not_selected else {})
    text = card(settings.name, dataset.purpose, tally, settings.licences, left_out, recipe)
    (out / CARD).write_text(text)
    return _row_counts(chosen, excluded, not_selected) | tally.counts() | {"words": tally.percentiles()}


def _row_counts(chosen: list[Candidate], excluded: Counter[str], not_selected: Counter[str]) -> dict[str, Any]:
    """What became of every row of the origin."""
    return {
        "in": len(chosen) + excluded.total() + not_selected.total(),
        "kept": len(chosen),
        "excluded": dict(sorted(excluded.items())),
        "not_selected": dict(sorted(not_selected.items())),
    }


def read(folders: Iterable[Path], columns: list[str] | None = None) -> Iterator[dict[str, Any]]:
    """The rows of all folders in order; their numbers are the candidates' `row`."""
    return chain.from_iterable(iterate(folder, columns) for folder in folders)


def select(
    candidates: list[Candidate], folders: list[Path], settings: BuildSettings, seed: int, encodings: Path | None
) -> list[Candidate]:
    """The candidates of the data set: each domain's and source's quota, filled by the method of `dataset.select`."""
    dataset = settings.dataset
    domains: dict[str, list[Candidate]] = defaultdict(list)
    for item in candidates:
        domains[item.domain].append(item)
    cells = quotas(_mixture(settings), {name: _by_source(items) for name, items in sorted(domains.items())})
    limited = dataset.shares_sources
    chosen = []
    for name, cell in cells.items():
        items, size = domains[name], sum(cell.values())
        by_vectors = dataset.select.kind != "random" and 0 < size < len(items)
        vectors = _vectors(items, folders, settings, seed, encodings) if by_vectors else None
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


def _vectors(
    items: list[Candidate], folders: list[Path], settings: BuildSettings, seed: int, encodings: Path | None
) -> Vectors:
    from scripts.mix.embed import encoder_vectors, tfidf_vectors  # scikit-learn takes seconds to import

    if encodings is not None:
        return encoder_vectors(items, encodings, settings.name)
    return tfidf_vectors(items, folders, settings.dataset.select, seed)


def _by_source(items: Iterable[Candidate]) -> dict[str, int]:
    return dict(sorted(Counter(item.source for item in items).items()))


def with_final_messages(rows: Iterable[dict[str, Any]], dataset: Dataset, tally: Tally) -> Iterator[dict[str, Any]]:
    """The rows with the messages that the data set's purpose needs; `tally` counts them."""
    for row in rows:
        if dataset.purpose == "rl":
            row["messages"] = prompt_messages(row["messages"])
        elif dataset.responses is not None:
            row["messages"] = [*prompt_messages(row["messages"]), {"role": "assistant", "content": row["response"]}]
        tally.add(row)
        yield row


def _origin(run: Run[BuildSettings]) -> list[Path]:
    """The folders of the origin's records. Raises MixError if they are of another kind than the settings name."""
    dataset, options = run.settings.dataset, [name for name in ORIGINS if run.inputs[name]]
    values = (dataset.pool, dataset.responses, dataset.graded, dataset.sources)
    expected = next(option for option, value in zip(ORIGINS, values, strict=True) if value is not None)
    if options != [expected]:
        raise MixError(f"datasets.{run.settings.name} is made from --{expected}, not from {options or 'no manifests'}")
    folders = [item.folder / RECORDS for item in run.inputs[expected]]
    for file in (shard for folder in folders for shard in shards(folder)):
        if missing := REQUIRED.get(expected, set()).difference(pq.read_schema(file).names):
            raise MixError(f"{file} has no column {', '.join(sorted(missing))}: it is not an artifact for --{expected}")
    return folders


def _encodings(run: Run[BuildSettings]) -> Path | None:
    """The folder of the prompts' vectors; None if the settings name no encoder."""
    artifacts, encoder = run.inputs["vectors"], run.settings.dataset.select.encoder
    if bool(artifacts) != bool(encoder):
        raise MixError(f"datasets.{run.settings.name}: select.encoder is {encoder}, but --vectors has {len(artifacts)}")
    return artifacts[0].folder / RECORDS if artifacts else None


def main() -> None:
    with step(__spec__, inputs=(*ORIGINS, "vectors"), settings=BuildSettings) as run:
        run.counts |= build(_origin(run), run.settings, run.seed, run.out, run.work, _encodings(run))


if __name__ == "__main__":
    main()
