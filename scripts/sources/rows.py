"""Rows of raw files: Parquet, Arrow, a JSON array, or one JSON object a line, gzipped or not.

The kind is told by the content, since names lie (a `.json` of one object a line is common). A line that
cannot be read is given back as a `BadRow` with its reason, so that the caller counts it; a file that
cannot be read at all is an error.
"""

from __future__ import annotations

import codecs
import gzip
import json
import reprlib
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

BATCH = 1000  # rows decoded at a time
PIECE = 2**20  # bytes of a JSON array read at a time
ARROW_STREAM = b"\xff\xff\xff\xff"
"""How the files of `datasets.save_to_disk` begin."""
NESTED = "nested-too-deep"
"""Reason of a row whose lists and objects lie deeper in each other than Python reads (some 1,000)."""


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
                yield from _array_rows(path, handle)
            else:
                yield from (_line_row(line) for line in handle if line.strip())
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise SourceError(f"{path} is cut short or damaged ({error}): fetch it again") from error


def _first_character(handle: IO[bytes]) -> bytes:
    """The first byte that is no white space; the handle is back at the start."""
    while (byte := handle.read(1)) and byte.isspace():
        pass
    handle.seek(0)
    return byte


def _array_rows(path: Path, handle: IO[bytes]) -> Iterator[dict[str, Any] | BadRow]:
    """The rows of a JSON array, one after the other: memory holds a piece of the file and not the whole."""
    text, decode = _Text(path, handle), json.JSONDecoder().raw_decode
    text.skip("[")
    while text.next() != "]":
        row = text.decoded(decode)
        yield row if isinstance(row, dict) else BadRow("no-object", reprlib.repr(row)[:200])
        if text.next() != "]":
            text.skip(",")
            if text.next() == "]":
                raise text.damaged("it ends after a comma")
    text.skip("]")
    if text.next():
        raise text.damaged("something follows its end")


class _Text:
    """A file's text from where the reader stands, read in pieces."""

    def __init__(self, path: Path, handle: IO[bytes]):
        self.path = path
        self.handle = handle
        self.decoder = codecs.getincrementaldecoder("utf-8")()
        self.text = ""
        self.place = 0
        self.ended = False

    def damaged(self, why: object) -> SourceError:
        return SourceError(f"{self.path} starts as a JSON array and is none ({why}): fetch it again")

    def next(self) -> str:
        """The next character that is no white space; empty at the end."""
        while True:
            while self.place < len(self.text) and self.text[self.place].isspace():
                self.place += 1
            if self.place < len(self.text) or self.ended:
                return self.text[self.place : self.place + 1]
            self._more(PIECE)

    def skip(self, expected: str) -> None:
        if self.next() != expected:
            raise self.damaged(f"{self.next()!r} stands where {expected!r} should")
        self.place += 1

    def decoded(self, decode: Callable[[str, int], tuple[Any, int]]) -> Any:
        """The next JSON value; the piece doubles until it holds one."""
        piece = PIECE
        while True:
            try:
                value, end = decode(self.text, self.place)
                if end == len(self.text) and not self.ended:  # a number may go on
                    self._more(piece)
                    continue
                self.place = end
                return value
            except RecursionError:
                raise SourceError(
                    f"{self.path} has a row nested too deep to be read, and in an array its end is not known: "
                    "give one object a line, so that it is counted, or leave the row out"
                ) from None
            except ValueError as error:
                if self.ended:
                    raise self.damaged(error) from error
                self._more(piece)
                piece *= 2

    def _more(self, size: int) -> None:
        found = self.handle.read(size)
        self.ended = not found
        try:
            self.text = self.text[self.place :] + self.decoder.decode(found, final=self.ended)
        except UnicodeDecodeError as error:
            raise self.damaged(error) from error
        self.place = 0


def _line_row(line: bytes) -> dict[str, Any] | BadRow:
    beginning = line[:200].decode("utf-8", "backslashreplace")
    try:
        row = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError:
        return BadRow("not-utf8", beginning)
    except ValueError:
        return BadRow("not-json", beginning)
    except RecursionError:
        return BadRow(NESTED, beginning)
    return row if isinstance(row, dict) else BadRow("no-object", beginning)
