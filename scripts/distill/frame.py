"""What the distillation steps share: which records of a pool they take, and where records go that they drop."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from scripts.common.artifacts import Artifact
from scripts.common.records import DROPPED, KEPT, Columns, extended, iterate, read_table, shards, write

Row = dict[str, Any]
RESPONSES = "responses"
"""Column of the responses that a model gave to a record's prompt."""


class DistillError(RuntimeError):
    """A step's inputs do not belong together, or hold nothing to work on: the message says which and why."""


def schema_of(artifact: Artifact) -> pa.Schema:
    """The columns of an artifact's records. Raises DistillError where it holds none."""
    files = shards(artifact.folder / KEPT)
    if not size_of(artifact):
        raise DistillError(f"{artifact.folder / KEPT} holds no record: did an earlier step drop them all?")
    return pq.read_schema(files[0])


def size_of(artifact: Artifact) -> int:
    """How many records an artifact holds."""
    return sum(pq.read_metadata(file).num_rows for file in shards(artifact.folder / KEPT))


class Progress:
    """Says on standard output how far a step is, and when it will be done at its pace so far."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.started = total, 0, time.perf_counter()

    def add(self, prompts: int) -> None:
        """Count prompts in, and say so."""
        self.done += prompts
        seconds = time.perf_counter() - self.started
        left = max(0.0, seconds / self.done * (self.total - self.done))
        print(f"verified {self.done:,} of {self.total:,} prompts, {seconds:.0f} s, about {left:.0f} s left", flush=True)


def take(pool: Artifact, prompts: int | None) -> Iterator[Row]:
    """The pool's records in their order; with `prompts`, those of the first so many ids alone."""
    folder = pool.folder / KEPT
    if prompts is None:
        yield from iterate(folder)
        return
    wanted = frozenset(sorted(set(read_table(folder, ["id"])["id"].to_pylist()))[:prompts])
    yield from (record for record in iterate(folder) if record["id"] in wanted)


def write_parted(
    out: Path, step: str, schema: pa.Schema, added: Columns, make: Callable[[Callable[[Row, str], None]], Iterable[Row]]
) -> dict[str, Any]:
    """Write what `make` yields to `out/records/` and what it drops to `out/dropped/`; return the counts.

    `schema` is that of the records taken; kept ones have the columns `added` besides, dropped ones step and reason.
    `make` is called with `drop(record, reason)`. Dropped records wait in memory until the end.
    """
    dropped: list[Row] = []

    def drop(record: Row, reason: str) -> None:
        dropped.append(record | {"step": step, "reason": reason})

    kept = write(out / KEPT, make(drop), extended(schema, added))
    write(out / DROPPED, dropped, extended(schema, [("step", pa.string()), ("reason", pa.string())]))
    reasons = Counter(row["reason"] for row in dropped)
    return {"in": kept + len(dropped), "kept": kept, "dropped": dict(sorted(reasons.items()))}
