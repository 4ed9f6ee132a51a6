"""Chosen rows of large folders in any order, with the memory of one bucket (external distribution sort).

The folders are read once, and each row goes to the bucket on disk that holds its place in the order; each bucket is
sorted when it is read back.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from scripts.common.records import shards

BUCKET = 10_000  # rows
BATCH = 10_000  # rows read together
PLACE = "__place"


def batches(folders: Iterable[Path], columns: Sequence[str] | None = None) -> Iterator[tuple[int, pa.RecordBatch]]:
    """(number of its first row, batch) of all rows of the folders, in order."""
    number = 0
    for shard in (shard for folder in folders for shard in shards(folder)):
        with pq.ParquetFile(shard) as file:
            for batch in file.iter_batches(batch_size=BATCH, columns=columns):
                yield number, batch
                number += len(batch)


def pick(
    folders: Iterable[Path], rows: npt.ArrayLike, columns: Sequence[str] | None = None
) -> Iterator[tuple[pa.RecordBatch, np.ndarray]]:
    """(batch, ranks) of the rows with the numbers `rows`, in order; ranks are their places in sorted `rows`."""
    numbers = np.sort(np.asarray(rows, dtype=np.int64))
    for first, batch in batches(folders, columns):
        start, end = np.searchsorted(numbers, [first, first + len(batch)])
        if end > start:
            yield batch.take(pa.array(numbers[start:end] - first)), np.arange(start, end)


def in_order(folders: Sequence[Path], rows: Sequence[int], work: Path) -> Iterator[dict[str, Any]]:
    """The rows with the numbers `rows`, which are distinct, in that order. `work` holds the buckets and is removed."""
    places = np.argsort(np.asarray(rows, dtype=np.int64), kind="stable")  # by rank
    count = -(-len(rows) // BUCKET)
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    _deal(folders, rows, places, [work / f"{number:05}.arrow" for number in range(count)])
    for path in sorted(work.iterdir()):
        with pa.ipc.open_stream(path) as reader:
            table = reader.read_all()
        yield from table.sort_by(PLACE).drop_columns([PLACE]).to_pylist()
        path.unlink()
    work.rmdir()


def _deal(folders: Sequence[Path], rows: Sequence[int], places: np.ndarray, buckets: list[Path]) -> None:
    """Write every row to the bucket that holds its place."""
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with ExitStack() as open_files:
        writers: dict[int, pa.ipc.RecordBatchStreamWriter] = {}
        for batch, ranks in pick(folders, rows):
            placed = batch.append_column(PLACE, pa.array(places[ranks]))
            for bucket in np.unique(places[ranks] // BUCKET).tolist():
                if bucket not in writers:
                    sink = open_files.enter_context(pa.OSFile(str(buckets[bucket]), "wb"))
                    writers[bucket] = open_files.enter_context(pa.ipc.new_stream(sink, placed.schema, options=options))
                writers[bucket].write_batch(placed.filter(pa.array(places[ranks] // BUCKET == bucket)))
