"""Parquet files of items to verify; see `items.py`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from scripts.verify.answer import Verdict
from scripts.verify.items import BLOCK, Row, row_of

_VERDICT = [("correct", pa.bool_()), ("reason", pa.string())]


@dataclass(frozen=True)
class Table:
    """A Parquet file with the columns `response` (string) and `answer` (struct of kind and JSON spec), and others."""

    path: Path

    def __post_init__(self) -> None:
        try:
            schema = pq.read_schema(self.path)
        except pa.ArrowInvalid as error:
            raise ValueError(f"{self.path} is not Parquet: {error}") from None
        _check_columns(self.path, schema)

    def count(self) -> int:
        """The number of rows."""
        return pq.read_metadata(self.path).num_rows

    def blocks(self) -> Iterator[list[Row]]:
        """What is to be verified in each row."""
        for batch in self._batches(["response", "answer"]):
            yield [_row(row) for row in batch.to_pylist()]

    def write(self, target: Path, verdicts: Iterator[list[Verdict]]) -> None:
        """All columns, in order, and the verdicts (`correct` is null if unverifiable)."""
        schema = pa.schema([*pq.read_schema(self.path), *_VERDICT])
        with pq.ParquetWriter(target, schema, compression="zstd") as writer:
            for batch, block in zip(self._batches(None), verdicts, strict=True):
                columns = [pa.array([getattr(each, name) for each in block], kind) for name, kind in _VERDICT]
                writer.write_batch(pa.RecordBatch.from_arrays([*batch.columns, *columns], schema=schema))

    def _batches(self, columns: list[str] | None) -> Iterator[pa.RecordBatch]:
        with pq.ParquetFile(self.path) as file:
            yield from file.iter_batches(BLOCK, columns=columns)


def _check_columns(path: Path, schema: pa.Schema) -> None:
    for name in ("response", "answer"):
        if name not in schema.names:
            raise ValueError(f"{path} has no column {name!r}, only {', '.join(schema.names)}")
    for name, _ in _VERDICT:
        if name in schema.names:
            raise ValueError(f"{path} already has a column {name!r}: verify the records it was made from")
    answer = schema.field("answer").type
    if not pa.types.is_struct(answer) or {"kind", "spec"} - {field.name for field in answer}:
        raise ValueError(f"{path}: the column `answer` must be a struct of `kind` and `spec`, not {answer}")


def _row(row: dict[str, Any]) -> Row:
    response, answer = row["response"], row["answer"]
    if not isinstance(response, str):
        return Verdict(None, "bad row: `response` must be a string")
    if answer is None:
        return Verdict(None, "bad row: `answer` must not be null")
    return row_of(response, answer["kind"], answer["spec"])
