"""A page to judge decontamination by: its hits and its whitelisted templates, counted, and some of each in full.

The samples of a benchmark are evenly spaced over its overlaps, the least first: false alarms would be there.

    python -m scripts.curate.audit --recipe JSON --pools DECONTAMINATE_MANIFEST... --benchmarks RAW_MANIFEST... \
        --out results/small/audit.md
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.common.artifacts import Artifact
from scripts.common.records import DROPPED, RECORDS, iterate
from scripts.common.step import step
from scripts.curate import views
from scripts.curate.decontaminate import HIT, WHITELISTED
from scripts.curate.settings.audit import Audit

COLUMNS = ["id", "source", "messages", *(name for name, _ in HIT)]
FOLDERS = {DROPPED: "dropped", WHITELISTED: "kept, only a template is shared"}
Texts = Mapping[tuple[str, str], dict[str, Any]]
"""Benchmark items by benchmark and id."""


def sample(folder: Path, count: int) -> list[dict[str, Any]]:
    """Up to `count` rows of each benchmark, evenly over their overlaps; benchmarks by name, least overlap first."""
    places: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for place, row in enumerate(iterate(folder, ["benchmark", "overlap"])):
        places[row["benchmark"]].append((row["overlap"], place))
    chosen = {place for found in places.values() for _, place in evenly_spaced(sorted(found), count)}
    rows = [row for place, row in enumerate(iterate(folder, COLUMNS)) if place in chosen]
    return sorted(rows, key=lambda row: (row["benchmark"], row["overlap"], row["id"]))


def evenly_spaced(items: Sequence[Any], count: int) -> list[Any]:
    """`count` of the items at even distances, the first and the last among them; all items if there are no more."""
    if len(items) <= count:
        return list(items)
    return [items[round(index * (len(items) - 1) / max(count - 1, 1))] for index in range(count)]


def page(pools: Sequence[Artifact], benchmarks: Sequence[Artifact], settings: Audit) -> str:
    """The page in Markdown."""
    samples = [(pool, folder, sample(pool.folder / folder, settings.samples)) for pool in pools for folder in FOLDERS]
    wanted = {(row["benchmark"], row["benchmark_id"]) for *_, rows in samples for row in rows}
    texts = _items(benchmarks, wanted)
    lines = ["# Audit of decontamination", *_counts(pools)]
    for pool, folder, rows in samples:
        lines += [f"\n## {_name(pool)}: {FOLDERS[folder]}"] if rows else []
        lines += [line for row in rows for line in _hit(row, texts, settings)]
    return "\n".join(lines) + "\n"


def _items(benchmarks: Sequence[Artifact], wanted: set[tuple[str, str]]) -> Texts:
    rows = (row for item in benchmarks for row in iterate(item.folder / RECORDS, ["id", "source", "messages"]))
    return {(row["source"], row["id"]): row for row in rows if (row["source"], row["id"]) in wanted}


def _counts(pools: Sequence[Artifact]) -> Iterator[str]:
    yield "\n| pool | benchmark | texts | dropped | kept, template alone |\n| :-- | :-- | --: | --: | --: |"
    for pool in pools:
        hits, saved = pool.counts["hits"], pool.counts["whitelisted"]
        for name, texts in pool.counts["index"]["texts"].items():
            yield f"| {_name(pool)} | {name} | {texts:,} | {hits.get(name, 0):,} | {saved.get(name, 0):,} |"
    yield "\nA text is an item's prompt, or its response if it is long. Rows: `pools/{pool}/decontaminate/dropped/`"
    yield "and `whitelisted/`, with the columns benchmark, benchmark_id, benchmark_text, matched and overlap."


def _hit(row: Mapping[str, Any], texts: Texts, settings: Audit) -> Iterator[str]:
    item = texts[row["benchmark"], row["benchmark_id"]]
    own = views.prompt(item) if row["benchmark_text"] == "prompt" else views.response(item)
    yield (
        f"\n### {row['benchmark']} {row['benchmark_id']}, {row['benchmark_text']}: {row['overlap']:.0%} "
        f"in {row['source']} {row['id']}\n"
    )
    found = {"matching": row["matched"], "benchmark": own, "record": views.whole(dict(row))}
    yield from (f"- {name}: {_quoted(text, settings.characters)}" for name, text in found.items())


def _quoted(text: str, characters: int) -> str:
    """The beginning of a text on one line, as code that nothing in it can end."""
    line = " ".join(text.replace("`", "'").split())
    return f"`{line[:characters]}`" + (f" ... {len(line) - characters:,} characters more" * (len(line) > characters))


def _name(pool: Artifact) -> str:
    """`pools/{pool}/decontaminate/manifest.json`."""
    return pool.path.parents[1].name


def main() -> None:
    with step(__spec__, inputs=("pools", "benchmarks"), settings=Audit) as run:
        (output,) = run.outputs
        (run.out / output.name).write_text(page(run.inputs["pools"], run.inputs["benchmarks"], run.settings))


if __name__ == "__main__":
    main()
