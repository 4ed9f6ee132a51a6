"""Rows of raw files: Parquet, Arrow, a JSON array, or one JSON object a line, gzipped or not.

The kind is told by the content, since names lie (a `.json` of one object a line is common). A line that
cannot be read is given back as a `BadRow` with its reason, so that the caller counts it; a file that
cannot be read at all is an error.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

BATCH = 1000  # rows decoded at a time
ARROW_STREAM = b"\xff\xff\xff\xff"
"""How the files of `datasets.save_to_disk` begin."""


@dataclass(frozen=True)
class BadRow:
    """A row that is no record: why, and the beginning of what stood there."""

    reason: str
    text: str


class SourceError(RuntimeError):
    """A whole source cannot be read; the message names it and the fix."""


def read_rows(path: Path) -> Iterator[dict[str, Any] | BadRow]:
    """The rows of a raw file in its own order, streamed."""
    with path.open("rb") as handle:
        magic = handle.read(4)
    if magic == b"PAR1":
        return _parquet_rows(path)
    if magic == ARROW_STREAM:
        return _arrow_rows(path)
    return _json_rows(path, zipped=magic[:2] == b"\x1f\x8b")


def _parquet_rows(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=BATCH):
                yield from batch.to_pylist()
    except (pa.ArrowInvalid, OSError) as error:
        raise SourceError(f"{path} is damaged Parquet ({error}): fetch it again") from error


def _arrow_rows(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with pa.memory_map(str(path)) as file, pa.ipc.open_stream(file) as batches:
            for batch in batches:
                yield from batch.to_pylist()
    except (pa.ArrowInvalid, OSError) as error:
        raise SourceError(f"{path} is damaged Arrow ({error}): fetch it again") from error


def _json_rows(path: Path, zipped: bool) -> Iterator[dict[str, Any] | BadRow]:
    try:
        with cast(IO[bytes], gzip.open(path, "rb") if zipped else path.open("rb")) as handle:
            if _first_character(handle) == b"[":
                yield from _array_rows(path, handle.read())
            else:
                yield from (_line_row(line) for line in handle if line.strip())
    except (EOFError, gzip.BadGzipFile) as error:
        raise SourceError(f"{path} is cut short ({error}): fetch it again") from error


def _first_character(handle: IO[bytes]) -> bytes:
    """The first byte that is no white space; the handle is back at the start."""
    while (byte := handle.read(1)) and byte.isspace():
        pass
    handle.seek(0)
    return byte


def _array_rows(path: Path, content: bytes) -> Iterator[dict[str, Any] | BadRow]:
    try:
        rows = json.loads(content)
    except ValueError as error:
        raise SourceError(f"{path} starts as a JSON array and is none ({error}): fetch it again") from error
    for row in rows:
        yield row if isinstance(row, dict) else BadRow("no-object", str(row)[:200])


def _line_row(line: bytes) -> dict[str, Any] | BadRow:
    try:
        row = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError:
        return BadRow("not-utf8", line[:200].decode("utf-8", "backslashreplace"))
    except ValueError:
        return BadRow("not-json", line[:200].decode("utf-8", "replace"))
    return row if isinstance(row, dict) else BadRow("no-object", str(row)[:200])
