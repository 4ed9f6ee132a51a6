"""One Parquet file that a task of curation writes."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from scripts.common.records import ROW_GROUP

GROUP_BYTES = 64 * 2**20  # of a row group in memory: long responses make smaller groups


class Shard:
    """A Parquet file that does not exist before its first row, and is complete once it has its name."""

    def __init__(self, path: Path, schema: pa.Schema):
        self.path = path
        self.schema = schema
        self.waiting: list[pa.RecordBatch] = []
        self.writer: pq.ParquetWriter | None = None

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows; a row group is written when ROW_GROUP rows or GROUP_BYTES are waiting."""
        if batch.num_rows:
            self.waiting.append(batch)
        if (
            sum(part.num_rows for part in self.waiting) >= ROW_GROUP
            or sum(part.nbytes for part in self.waiting) >= GROUP_BYTES
        ):
            self._flush()

    def close(self) -> None:
        """Write the rows that wait, and give the file its name."""
        if self.waiting:
            self._flush()
        if self.writer is not None:
            self.writer.close()
            self.partial.rename(self.path)

    @property
    def partial(self) -> Path:
        return self.path.with_suffix(".partial")

    def _flush(self) -> None:
        if self.writer is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.writer = pq.ParquetWriter(self.partial, self.schema, compression="zstd")
        table = pa.Table.from_batches(self.waiting, self.schema)
        self.writer.write_table(table, row_group_size=table.num_rows)
        self.waiting = []
