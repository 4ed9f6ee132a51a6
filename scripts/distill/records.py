"""Records of a pool as the distillation steps read and write them: which are taken, and where dropped ones go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from scripts.common.artifacts import Artifact
from scripts.common.records import DROPPED, RECORDS, Columns, extended, iterate, read_table, shards, write

Row = dict[str, Any]
RESPONSES = "responses"
"""Column of the responses that a model gave to a record's prompt."""
OVERLONG = "prompt too long for the context"
"""Reason of a prompt that leaves no room for a completion in the model's context."""


class DistillError(RuntimeError):
    """A step's inputs do not belong together, or hold nothing to work on: the message names them and the cause."""


def schema_of(artifact: Artifact) -> pa.Schema:
    """The columns of an artifact's records. Raises DistillError if it holds no record."""
    files = shards(artifact.folder / RECORDS)
    if not size_of(artifact):
        raise DistillError(f"{artifact.folder / RECORDS} holds no record: did an earlier step drop them all?")
    return pq.read_schema(files[0])


def size_of(artifact: Artifact) -> int:
    """Number of an artifact's records."""
    return sum(pq.read_metadata(file).num_rows for file in shards(artifact.folder / RECORDS))


def take(pool: Artifact, prompts: int | None) -> Iterator[Row]:
    """The pool's records in their order; with `prompts`, only those of the first `prompts` ids in sorted order."""
    folder = pool.folder / RECORDS
    if prompts is None:
        yield from iterate(folder)
        return
    wanted = frozenset(sorted(set(read_table(folder, ["id"])["id"].to_pylist()))[:prompts])
    yield from (record for record in iterate(folder) if record["id"] in wanted)


def write_parted(
    out: Path, step: str, schema: pa.Schema, added: Columns, make: Callable[[Callable[[Row, str], None]], Iterable[Row]]
) -> dict[str, Any]:
    """Write the rows that `make` yields to `out/records/` and those it drops to `out/dropped/`; return the counts.

    `make` is called with a function `drop(record, reason)`. `schema` is the schema of the records read; kept rows have
    the columns `added` besides, dropped rows `step` and `reason`. Dropped rows are held in memory until the end.
    """
    dropped: list[Row] = []

    def drop(record: Row, reason: str) -> None:
        dropped.append(record | {"step": step, "reason": reason})

    kept = write(out / RECORDS, make(drop), extended(schema, added))
    write(out / DROPPED, dropped, extended(schema, [("step", pa.string()), ("reason", pa.string())]))
    reasons = Counter(row["reason"] for row in dropped)
    return {"in": kept + len(dropped), "kept": kept, "dropped": dict(sorted(reasons.items()))}
