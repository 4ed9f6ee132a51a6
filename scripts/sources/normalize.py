"""Raw rows of one source to records; what is no record is kept aside with the reason.

    python -m scripts.sources.normalize --recipe JSON [--files results/tiny/synthetic/manifest.json] \
        --out results/tiny/raw/NAME/manifest.json
"""

from __future__ import annotations

import hashlib
import json
import reprlib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from scripts.common import records
from scripts.common.settings import Settings
from scripts.common.step import step
from scripts.sources.adapters import RowError, adapt
from scripts.sources.fetch import open_source
from scripts.sources.rows import NESTED, BadRow, SourceError
from scripts.sources.settings import Source

STEP = "normalize"
DROPPED_SCHEMA = records.schema_with(("step", pa.string()), ("reason", pa.string()))


class Normalize(Settings):
    """A source under its name."""

    name: str
    source: Source


class Dropped(Protocol):
    """Where rows go that are no records."""

    def append(self, row: dict[str, Any], /) -> None: ...


class Spool:
    """Rows on disk, in their order, and how many there are of each reason: memory does not grow with them."""

    def __init__(self, path: Path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.file = path.open("w+")
        self.reasons: Counter[str] = Counter()

    def append(self, row: dict[str, Any]) -> None:
        self.file.write(json.dumps(row) + "\n")
        self.reasons[row["reason"]] += 1

    def __iter__(self) -> Iterator[dict[str, Any]]:
        self.file.seek(0)
        return map(json.loads, self.file)


def normalize(
    settings: Normalize, rows: Iterable[dict[str, Any] | BadRow], dropped: Dropped
) -> Iterator[dict[str, Any]]:
    """The records of raw rows, in their order; rows that are none go to `dropped` with step and reason."""
    for row in rows:
        if isinstance(row, BadRow):
            dropped.append(_dropped(settings, row.text, row.reason))
            continue
        try:
            record = adapt(row, settings.source.adapter, settings.name, settings.source.domain)
            json.dumps(record, ensure_ascii=False).encode()  # Parquet holds UTF-8 alone
        except RowError as error:
            dropped.append(_dropped(settings, _raw(row), str(error)))
        except UnicodeEncodeError:
            dropped.append(_dropped(settings, _raw(row), "lone-surrogate"))
        except RecursionError:
            dropped.append(_dropped(settings, _raw(row), NESTED))
        else:
            yield dict(record)


def _raw(row: dict[str, Any]) -> str:
    """The row as JSON; abridged where it is nested more deeply than can be written."""
    try:
        return json.dumps(row, default=str)
    except RecursionError:
        return reprlib.repr(row)


def _dropped(settings: Normalize, raw: str, reason: str) -> dict[str, Any]:
    digest = hashlib.sha256(raw.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return {
        "id": digest,
        "source": settings.name,
        "domain": settings.source.domain or "",
        "messages": [],
        "answer": {"kind": "none", "spec": "{}"},
        "meta": json.dumps({"raw": raw[:2000]}),
        "step": STEP,
        "reason": reason,
    }


def main() -> None:
    """The step: records/, dropped/ and the counts raw = kept + dropped."""
    with step(__spec__, inputs=("files",), settings=Normalize) as run:
        name, source = run.settings.name, run.settings.source
        files = run.input("files").folder if run.inputs["files"] else None
        dropped = Spool(run.work / "dropped.jsonl")
        rows = open_source(name, source, files, run.work)
        kept = records.write(run.out / records.KEPT, normalize(run.settings, rows, dropped))
        records.write(run.out / records.DROPPED, dropped, DROPPED_SCHEMA)
        if not kept and not dropped.reasons:
            raise SourceError(f"sources.{name}: it has no rows; fetch it again, or leave the source out")
        if not kept:
            raise SourceError(f"sources.{name}: no row became a record ({dict(dropped.reasons)}): check its adapter")
        run.counts = {
            "raw": kept + dropped.reasons.total(),
            "kept": kept,
            "dropped": dict(sorted(dropped.reasons.items())),
            "licence": source.licence,
            "role": source.role,
        }


if __name__ == "__main__":
    main()
