"""The records that a curation step reads, in order, cut into tasks.

The cut depends on the records alone, never on the number of workers: a task is the row groups that hold about
TASK records. So every output has the same bytes for any number of workers, and memory is that of a batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from scripts.common.records import shards

BATCH = 1_000  # records in memory as Python objects
TASK = 10_000  # records per task: the row groups that fill this many, at least one


class CurationError(RuntimeError):
    """Records cannot be read, or the counts of a step do not add up."""


@dataclass(frozen=True)
class Unit:
    """Some row groups of one shard."""

    path: Path
    groups: tuple[int, ...]
    rows: int


@dataclass(frozen=True)
class Corpus:
    """The records that a step reads, in order, cut into tasks."""

    tasks: tuple[tuple[Unit, ...], ...]
    schema: pa.Schema

    @property
    def rows(self) -> int:
        return sum(unit.rows for task in self.tasks for unit in task)

    @property
    def offsets(self) -> list[int]:
        """Position in the whole corpus of each task's first record."""
        sizes = [sum(unit.rows for unit in task) for task in self.tasks]
        return [0, *accumulate(sizes)][:-1]

    def batches(self, rank: int, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The records of a task in batches of BATCH; `columns` may name a part of a column (`answer.kind`)."""
        for unit in self.tasks[rank]:
            with pq.ParquetFile(unit.path) as file:
                yield from file.iter_batches(
                    batch_size=BATCH, row_groups=unit.groups, columns=columns, use_threads=False
                )

    def all_batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """The records' `columns` in batches, in the order of tasks."""
        for rank in range(len(self.tasks)):
            yield from self.batches(rank, columns)

    def iterate(self, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
        """The records' `columns`, streamed in the order of tasks."""
        for batch in self.all_batches(columns):
            yield from batch.to_pylist()


def open_corpus(folders: Iterable[Path]) -> Corpus:
    """The records of some folders of shards, in the order of `folders`. Raises CurationError naming a bad file."""
    units, schemas = [], []
    for folder in folders:
        files = shards(folder)
        if not files:
            raise CurationError(f"{folder} holds no Parquet shard: is the input a manifest of records?")
        for shard in files:
            schema, groups = _units(shard)
            schemas.append(schema)
            units += groups
    return Corpus(_tasks(units), pa.unify_schemas(schemas))


def rows_of(batch: pa.RecordBatch, columns: Sequence[str]) -> list[dict[str, Any]]:
    """The columns of a batch as one dictionary per row; the dictionaries are empty if `columns` is."""
    return batch.select(columns).to_pylist() if columns else [{} for _ in range(batch.num_rows)]


def _units(shard: Path) -> tuple[pa.Schema, list[Unit]]:
    try:
        with pq.ParquetFile(shard) as file:
            sizes = [file.metadata.row_group(index).num_rows for index in range(file.num_row_groups)]
            return file.schema_arrow.remove_metadata(), [Unit(shard, (i,), rows) for i, rows in enumerate(sizes)]
    except (pa.ArrowInvalid, OSError) as error:
        raise CurationError(
            f"{shard} is not a readable Parquet file: {error}. Remake the step that wrote it"
        ) from error


def _tasks(units: Iterable[Unit]) -> tuple[tuple[Unit, ...], ...]:
    """Row groups in tasks of about TASK records; one empty task if there is nothing to read."""
    tasks: list[list[Unit]] = [[]]
    filled = 0
    for unit in units:
        if filled and filled + unit.rows > TASK:
            tasks.append([])
            filled = 0
        tasks[-1].append(unit)
        filled += unit.rows
    return tuple(tuple(task) for task in tasks)
