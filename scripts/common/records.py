"""Records: the one schema of every data set, as Parquet shards in a folder.

A record is one prompt; for SFT, the assistant's answer follows it:

    id        16 hex digits: hash of source and prompt
    source    name of the source in the configuration
    domain    math | code | instruction | knowledge | general; empty until classified
    messages  list of {role, content}
    answer    {kind, spec}: what a verifier needs; kind is one of `answer_kinds.py`, spec its JSON
    meta      JSON object: further fields of the source (level, original id, ...)

Steps add columns after these and never rename one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypedDict, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

T = TypeVar("T")
Columns = Sequence[tuple[str, pa.DataType]]
"""Names and types of columns that a step adds."""


class Message(TypedDict):
    role: str
    content: str


class AnswerColumn(TypedDict):
    kind: str
    spec: str


class Record(TypedDict):
    """The columns that every record has; steps add more."""

    id: str
    source: str
    domain: str
    messages: list[Message]
    answer: AnswerColumn
    meta: str


MESSAGE = pa.struct([("role", pa.string()), ("content", pa.string())])
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("source", pa.string()),
        ("domain", pa.string()),
        ("messages", pa.list_(MESSAGE)),
        ("answer", pa.struct([("kind", pa.string()), ("spec", pa.string())])),
        ("meta", pa.string()),
    ]
)
RECORDS = "records"
"""Folder of an artifact's records: `records/00000.parquet`, ..."""
DROPPED = "dropped"
"""Folder of the records that a step dropped, with the columns `step` and `reason` added."""
ROW_GROUP = 10_000  # rows: a few MB each, the unit of streaming


def record_id(source: str, prompt: str) -> str:
    """The id of a record, 16 hex digits: the same source and prompt always give the same id."""
    return hashlib.sha256(f"{source}\0{prompt}".encode()).hexdigest()[:16]


def prompt_of(messages: Sequence[Message]) -> str:
    """All messages before the final assistant turn as one text; two records with the same text are one question."""
    return "\n\n".join(message["content"] for message in prompt_messages(messages))


def prompt_messages(messages: Sequence[Message]) -> list[Message]:
    """The messages before the final assistant turn."""
    return list(messages[:-1] if messages and messages[-1]["role"] == "assistant" else messages)


def response_of(messages: Sequence[Message]) -> str:
    """The final assistant turn's text; empty if the record has only a prompt."""
    return messages[-1]["content"] if messages and messages[-1]["role"] == "assistant" else ""


def has_verifier(answer: Mapping[str, Any] | None) -> bool:
    """Whether a verifier can check responses to a prompt with this answer."""
    return answer is not None and answer["kind"] not in (None, "none")


def make_record(
    source: str, domain: str, messages: list[Message], answer: tuple[str, dict[str, Any]], meta: dict[str, Any]
) -> Record:
    """A record with its id; `answer` is (kind, spec)."""
    return {
        "id": record_id(source, prompt_of(messages)),
        "source": source,
        "domain": domain,
        "messages": messages,
        "answer": {"kind": answer[0], "spec": json.dumps(answer[1], sort_keys=True, ensure_ascii=False)},
        "meta": json.dumps(meta, sort_keys=True, ensure_ascii=False),
    }


def shards(folder: Path) -> list[Path]:
    """The Parquet shards of a folder of records, in order."""
    return sorted(folder.glob("*.parquet"))


def iterate(folder: Path, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
    """Yield the records of a folder; one row group is in memory at a time."""
    for shard in shards(folder):
        with pq.ParquetFile(shard) as file:
            for batch in file.iter_batches(batch_size=ROW_GROUP, columns=columns):
                yield from batch.to_pylist()


def read(folder: Path, columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """All records of a folder in memory."""
    return list(iterate(folder, columns))


def read_table(folder: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """All records of a folder as one Arrow table."""
    return pa.concat_tables([pq.read_table(shard, columns=columns) for shard in shards(folder)])


def schema_with(*columns: tuple[str, pa.DataType]) -> pa.Schema:
    """The records' schema with the columns that a step adds."""
    return extended(SCHEMA, columns)


def extended(schema: pa.Schema, columns: Columns) -> pa.Schema:
    """The schema with the columns that it lacks added at its end."""
    new = [pa.field(name, kind) for name, kind in columns if name not in schema.names]
    return pa.schema([*schema, *new])


def write(folder: Path, rows: Iterable[dict[str, Any]], schema: pa.Schema = SCHEMA) -> int:
    """Stream rows to `folder/00000.parquet` in row groups, compressed by zstd; return the number of rows."""
    folder.mkdir(parents=True, exist_ok=True)
    written = 0
    with pq.ParquetWriter(folder / "00000.parquet", schema, compression="zstd") as writer:
        for chunk in chunks(rows, ROW_GROUP):
            writer.write_table(pa.Table.from_pylist(chunk, schema=schema), row_group_size=ROW_GROUP)
            written += len(chunk)
    return written


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of `size` items in order, the last one shorter."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
