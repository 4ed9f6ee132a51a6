"""The chosen rows of large folders in a drawn order, with the memory of one bucket.

Rows are dealt to buckets of consecutive places while the folders are read once, and each bucket is sorted as it is
read back (external distribution sort).
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
BATCH = 10_000  # rows read at once
PLACE = "__place"


def batches(folders: Iterable[Path], columns: Sequence[str] | None = None) -> Iterator[tuple[int, pa.RecordBatch]]:
    """The rows of all folders in order, in batches; with each the number of its first row."""
    number = 0
    for shard in (shard for folder in folders for shard in shards(folder)):
        with pq.ParquetFile(shard) as file:
            for batch in file.iter_batches(batch_size=BATCH, columns=columns):
                yield number, batch
                number += len(batch)


def pick(
    folders: Iterable[Path], rows: npt.ArrayLike, columns: Sequence[str] | None = None
) -> Iterator[tuple[pa.RecordBatch, np.ndarray]]:
    """The rows of the numbers given, in batches and in order; with each where its rows stand in sorted `rows`."""
    wanted = np.sort(np.asarray(rows, dtype=np.int64))
    for number, batch in batches(folders, columns):
        start, end = np.searchsorted(wanted, [number, number + len(batch)])
        if end > start:
            yield batch.take(pa.array(wanted[start:end] - number)), np.arange(start, end)


def in_order(folders: Sequence[Path], rows: Sequence[int], work: Path) -> Iterator[dict[str, Any]]:
    """The rows of the numbers given, each once, in the order given. `work` holds them meanwhile and is removed."""
    places = np.argsort(np.asarray(rows, dtype=np.int64), kind="stable")  # of the sorted rows
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
    """Write every row to the bucket that its place falls into."""
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with ExitStack() as open_files:
        writers: dict[int, pa.ipc.RecordBatchStreamWriter] = {}
        for batch, found in pick(folders, rows):
            placed = batch.append_column(PLACE, pa.array(places[found]))
            for bucket in np.unique(places[found] // BUCKET).tolist():
                if bucket not in writers:
                    sink = open_files.enter_context(pa.OSFile(str(buckets[bucket]), "wb"))
                    writers[bucket] = open_files.enter_context(pa.ipc.new_stream(sink, placed.schema, options=options))
                writers[bucket].write_batch(placed.filter(pa.array(places[found] // BUCKET == bucket)))
