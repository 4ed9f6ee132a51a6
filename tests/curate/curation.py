"""What the tests of curation share: small records, folders of them, and jobs over those."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datatrove.data import Document
from datatrove.pipeline.filters.base_filter import BaseFilter

from scripts.common import records
from scripts.curate.corpus import open_corpus
from scripts.curate.job import Job

Row = dict[str, Any]


def chat(prompt: str | None, response: str | None = None, source: str = "a", domain: str = "math") -> Row:
    """A record of one exchange; without a response, of a prompt alone."""
    turns = [{"role": "user", "content": prompt}]
    if response is not None:
        turns.append({"role": "assistant", "content": response})
    return record(turns, source, domain)


def record(messages: list[Any] | None, source: str = "a", domain: str = "math") -> Row:
    """A record with these messages as they are, null or malformed."""
    identity = records.record_id(source, str(messages))
    answer = {"kind": "none", "spec": "{}"}
    return {
        "id": identity,
        "source": source,
        "domain": domain,
        "messages": messages,
        "answer": answer,
        "meta": "{}",
    }


def write(folder: Path, rows: Sequence[Row], group: int = records.ROW_GROUP) -> Path:
    """Write rows as one shard with row groups of `group` rows."""
    folder.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(list(rows), schema=records.SCHEMA)
    pq.write_table(table, folder / "00000.parquet", row_group_size=group)
    return folder


def job(root: Path, name: str, *inputs: Sequence[Row], workers: int = 1, group: int = records.ROW_GROUP) -> Job:
    """A job over inputs written below `root`, one folder each."""
    folders = [write(root / f"in-{index}", rows, group) for index, rows in enumerate(inputs)]
    return Job(name, open_corpus(folders), root / "work", workers, root / "out")


def kept(work: Job) -> list[Row]:
    return records.read(work.out / records.RECORDS)


def dropped(work: Job) -> list[Row]:
    return records.read(work.out / records.DROPPED)


def decide(block: BaseFilter, row: Row, text: Callable[[Row], str]) -> str | None:
    """The reason for which a filter drops a record; None where it keeps it."""
    result = block.filter(Document(text=text(row), id="0", metadata=dict(row)))
    return result[1] if isinstance(result, tuple) else None
