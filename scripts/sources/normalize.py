"""Raw rows of one source to records; rows that are not records are kept aside with the reason.

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
from scripts.sources.adapters import adapt, unread_keys
from scripts.sources.fetch import open_source
from scripts.sources.rows import NESTED, NOT_READ, BadRow, SourceError
from scripts.sources.settings import Adapter, Source
from scripts.sources.values import RowError

STEP = "normalize"
SHOWN = 80  # characters of a dropped row that an error shows
DROPPED_SCHEMA = records.schema_with(("step", pa.string()), ("reason", pa.string()))


class Normalize(Settings):
    """A source under its name."""

    name: str
    source: Source


class Dropped(Protocol):
    """Takes the rows that are not records."""

    def append(self, row: dict[str, Any], /) -> None: ...


class Spool:
    """Rows on disk, in their order, and the number of each reason: memory does not grow with them."""

    def __init__(self, path: Path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.file = path.open("w+")
        self.reasons: Counter[str] = Counter()
        self.first = ""
        """The beginning of the first row."""

    def append(self, row: dict[str, Any]) -> None:
        self.file.write(json.dumps(row) + "\n")
        self.first = self.first or json.loads(row["meta"])["raw"][:SHOWN]
        self.reasons[row["reason"]] += 1

    def __iter__(self) -> Iterator[dict[str, Any]]:
        self.file.seek(0)
        return map(json.loads, self.file)


class Columns:
    """The columns of the rows, of which the adapter may miss some, and the keys of turns that no record holds."""

    def __init__(self, adapter: Adapter):
        self.adapter = adapter
        self.columns: dict[str, None] = {}
        self.unread: Counter[str] = Counter()

    def watch(self, rows: Iterable[dict[str, Any] | BadRow]) -> Iterator[dict[str, Any] | BadRow]:
        """Pass the rows through and note their columns."""
        for row in rows:
            if not isinstance(row, BadRow):
                self.columns |= dict.fromkeys(row)
                self.unread.update(unread_keys(row, self.adapter))
            yield row

    def problem(self) -> str | None:
        """A field of the adapter that no row has, if rows have columns that it does not read; else None.

        Without such columns the field is one that this source leaves out, such as the input of instructions.
        """
        read = {path.split(".")[0]: (setting, path) for path, setting in self.adapter.fields.items()}
        absent = sorted(read[column] for column in read if column not in self.columns)
        others = [column for column in self.columns if column not in read]
        if not absent or not others:
            return None
        setting, path = absent[0]
        return (
            f"adapter.{setting}: no row has the field {path!r}, and the adapter does not read {', '.join(others)}: "
            "name the right field, or leave the setting out"
        )


def normalize(
    settings: Normalize, rows: Iterable[dict[str, Any] | BadRow], dropped: Dropped
) -> Iterator[dict[str, Any]]:
    """The records of raw rows, in their order; rows that are not records go to `dropped` with step and reason."""
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
    """The row as JSON, abridged if it is nested too deep to be written."""
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


def _problem(kept: int, dropped: Spool, columns: Columns) -> str | None:
    """Why the source is not usable as it is configured, and the fix; None if it is."""
    if not kept and not dropped.reasons:
        return ": it has no rows; fetch it again, or leave the source out"
    if kept:
        return f".{columns.problem()}" if columns.problem() else None
    fix = f"check its adapter ({columns.problem()})" if columns.problem() else "check its adapter"
    if set(dropped.reasons) <= set(NOT_READ):
        fix = "it must be Parquet, Arrow, a JSON array or one JSON object per line"
    return f": no row became a record ({dict(dropped.reasons)}): {fix}; the first begins {dropped.first!r}"


def main() -> None:
    """The step: records/, dropped/ and the counts raw = kept + dropped."""
    with step(__spec__, inputs=("files",), settings=Normalize) as run:
        name, source = run.settings.name, run.settings.source
        files = run.input("files").folder if run.inputs["files"] else None
        dropped, columns = Spool(run.work / "dropped.jsonl"), Columns(source.adapter)
        rows = columns.watch(open_source(name, source, files, run.work))
        kept = records.write(run.out / records.RECORDS, normalize(run.settings, rows, dropped))
        records.write(run.out / records.DROPPED, dropped, DROPPED_SCHEMA)
        if problem := _problem(kept, dropped, columns):
            raise SourceError(f"sources.{name}{problem}")
        run.counts = {
            "raw": kept + dropped.reasons.total(),
            "kept": kept,
            "dropped": dict(sorted(dropped.reasons.items())),
            "licence": source.licence,
            "role": source.role,
        }
        if columns.unread:
            run.counts["unread_keys"] = dict(sorted(columns.unread.items()))


if __name__ == "__main__":
    main()
