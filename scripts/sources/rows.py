"""Rows of raw files: Parquet, Arrow, a JSON array, or one JSON object per line, gzipped or not.

The content tells the kind, since names lie (a `.json` of one object per line is common). JSON is UTF-8, or UTF-16 or
UTF-32 if its first bytes say so; byte order marks are skipped. A line that cannot be read becomes a `BadRow` with its
reason, so that the caller counts it; a file that cannot be read at all is an error.
"""

from __future__ import annotations

import codecs
import gzip
import io
import itertools
import json
import reprlib
import string
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from scripts.sources.values import Unreadable

BATCH = 1000  # rows decoded at a time
PIECE = 2**20  # bytes of a JSON array read at a time
ARROW_STREAM = b"\xff\xff\xff\xff"
"""How the files of `datasets.save_to_disk` begin."""
ARROW_FILE, PARQUET, GZIP = b"ARROW1", b"PAR1", b"\x1f\x8b"
MARK = "\ufeff"
BLANK = MARK + string.whitespace
BEGINNING = 512  # bytes that tell what a file is
OTHER_KINDS = {
    b"PK\x03\x04": ("a zip archive or a spreadsheet", "unpack it"),
    b"\x28\xb5\x2f\xfd": ("compressed with zstd", "unpack it"),
    b"BZh": ("compressed with bzip2", "unpack it"),
    b"\xfd7zXZ\x00": ("compressed with xz", "unpack it"),
    b"\x04\x22\x4d\x18": ("compressed with lz4", "unpack it"),
    b"7z\xbc\xaf\x27\x1c": ("a 7z archive", "unpack it"),
    b"Rar!": ("a rar archive", "unpack it"),
    b"PARE": ("encrypted Parquet", "decrypt it"),
    b"FEA1": ("Feather of version 1", "write it as Parquet"),
    b"\x89HDF": ("HDF5", "write it as Parquet"),
    b"ORC": ("ORC", "write it as Parquet"),
    b"Obj\x01": ("Avro", "write it as Parquet"),
    b"SQLite format 3": ("an SQLite database", "write it as Parquet"),
    b"version https://git-lfs": ("a pointer of Git LFS and not the data", "fetch it with `git lfs pull`"),
    **dict.fromkeys(
        (b"<!DOCTYPE", b"<!doctype", b"<html", b"<?xml"), ("HTML or XML, as servers answer errors", "fetch it again")
    ),
}
"""First bytes of kinds that are not read: what the file is, and what to do."""
NOT_READ = ("not-json", "not-utf8", "no-object")
"""Reasons of lines that are not a JSON object."""
NESTED = "nested-too-deep"
"""Reason of a row whose lists and objects are nested deeper than Python reads (some 1,000)."""


@dataclass(frozen=True)
class BadRow:
    """A row that is not a record: the reason, and the beginning of its text."""

    reason: str
    text: str


class SourceError(RuntimeError):
    """A whole source cannot be read; the message names it and the fix."""


def read_rows(path: Path) -> Iterator[dict[str, Any] | BadRow]:
    """The rows of a raw file in its own order, streamed. Raises SourceError."""
    with path.open("rb") as handle:
        start = handle.read(BEGINNING)
    if start.startswith(PARQUET):
        return _parquet_rows(path)
    if start.startswith((ARROW_STREAM, ARROW_FILE)):
        return _arrow_rows(path, stream=start.startswith(ARROW_STREAM))
    return _json_rows(path, zipped=start.startswith(GZIP))


def _parquet_rows(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with pq.ParquetFile(path) as file:
            _check_columns(path, file.schema_arrow)
            for batch in file.iter_batches(batch_size=BATCH):
                yield from _batch_rows(batch)
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{path} is damaged Parquet ({error}): fetch it again") from error


def _arrow_rows(path: Path, stream: bool) -> Iterator[dict[str, Any]]:
    try:
        with pa.memory_map(str(path)) as file:
            reader = pa.ipc.open_stream(file) if stream else pa.ipc.open_file(file)
            _check_columns(path, reader.schema)
            batches = reader if stream else map(reader.get_batch, range(reader.num_record_batches))
            for batch in batches:
                yield from _batch_rows(batch)
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{path} is damaged Arrow ({error}): fetch it again") from error


def _check_columns(path: Path, schema: pa.Schema) -> None:
    twice = sorted(name for name in set(schema.names) if schema.names.count(name) > 1)
    if twice:
        raise SourceError(f"{path} has two columns {twice[0]!r}: rename one")


def _batch_rows(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """The rows of a batch. If a value of it is outside of Python's types, each value is converted by itself."""
    try:
        rows: list[dict[str, Any]] = batch.to_pylist()
    except (ArithmeticError, LookupError, ValueError, pa.ArrowException):
        columns = [[_value(item) for item in column] for column in batch.columns]
        rows = [dict(zip(batch.schema.names, values, strict=True)) for values in zip(*columns, strict=True)]
    return rows


def _value(scalar: pa.Scalar) -> Any:
    try:
        return scalar.as_py()
    except (ArithmeticError, LookupError, ValueError, pa.ArrowException) as error:
        return Unreadable(str(error))


def _json_rows(path: Path, zipped: bool) -> Iterator[dict[str, Any] | BadRow]:
    try:
        with cast(IO[bytes], gzip.open(path, "rb") if zipped else path.open("rb")) as handle:
            start = handle.read(BEGINNING)
            _refuse_other_kinds(path, start)
            encoding = json.detect_encoding(start).removesuffix("-sig")
            if _first_character(handle, encoding) == "[":
                yield from _array_rows(path, handle, encoding)
            else:
                yield from _line_rows(path, _lines(handle, encoding))
    except (EOFError, gzip.BadGzipFile, zlib.error, UnicodeDecodeError) as error:
        raise SourceError(f"{path} is cut short or damaged ({error}): fetch it again") from error


def _refuse_other_kinds(path: Path, start: bytes) -> None:
    known = {**OTHER_KINDS, **dict.fromkeys((PARQUET, ARROW_FILE, GZIP), ("a file that was gzipped", "unpack it"))}
    kind = next((kind for magic, kind in known.items() if start.startswith(magic)), None)
    if start[257:262] == b"ustar":
        kind = ("a tar archive", "unpack it")
    if kind is not None:
        raise SourceError(
            f"{path} is {kind[0]}, and not Parquet, Arrow, a JSON array or one JSON object per line: {kind[1]}"
        )


def _first_character(handle: IO[bytes], encoding: str) -> str:
    """The first character that is not blank; the handle is at the start afterwards."""
    handle.seek(0)
    decoder, text = codecs.getincrementaldecoder(encoding)("replace"), ""
    while not text and (piece := handle.read(BEGINNING)):
        text = decoder.decode(piece).lstrip(BLANK)
    handle.seek(0)
    return text[:1]


def _lines(handle: IO[bytes], encoding: str) -> Iterator[bytes]:
    """The lines in UTF-8."""
    if encoding == "utf-8":
        return iter(handle)
    text = io.TextIOWrapper(handle, encoding=encoding, errors="surrogatepass", newline="\n")
    return (line.encode("utf-8", "surrogatepass") for line in text)


def _line_rows(path: Path, lines: Iterable[bytes]) -> Iterator[dict[str, Any] | BadRow]:
    """The rows of lines; blank ones are none. An object that goes over several lines is an error."""
    rows = (line for line in lines if line.strip(BLANK.encode()))
    first = list(itertools.islice(rows, 2))
    if len(first) == 2 and _goes_on(first[0]) and isinstance(_line_row(first[1]), BadRow):
        raise SourceError(
            f"{path} has objects that go over several lines: give one object per line, or an array of all rows"
        )
    yield from map(_line_row, itertools.chain(first, rows))


def _goes_on(line: bytes) -> bool:
    """Whether a line is the beginning of a JSON value that ends on a later line."""
    text = line.decode("utf-8", "replace").strip(BLANK)
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return error.pos >= len(text)
    except RecursionError:
        pass
    return False


def _array_rows(path: Path, handle: IO[bytes], encoding: str) -> Iterator[dict[str, Any] | BadRow]:
    """The rows of a JSON array, one after the other: memory holds a piece of the file and not the whole."""
    text, decode = _Text(path, handle, encoding), json.JSONDecoder().raw_decode
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
    """A file's text from the reader's place on, read in pieces."""

    def __init__(self, path: Path, handle: IO[bytes], encoding: str):
        self.path = path
        self.handle = handle
        self.decoder = codecs.getincrementaldecoder(encoding)()
        self.text = ""
        self.place = 0
        self.ended = False

    def damaged(self, why: object) -> SourceError:
        return SourceError(f"{self.path} starts as a JSON array and is not one ({why}): fetch it again")

    def next(self) -> str:
        """The next character that is not blank; empty at the end."""
        while True:
            while self.place < len(self.text) and self.text[self.place] in BLANK:
                self.place += 1
            if self.place < len(self.text) or self.ended:
                return self.text[self.place : self.place + 1]
            self._more(PIECE)

    def skip(self, expected: str) -> None:
        if self.next() != expected:
            raise self.damaged(f"it has {self.next()!r} in the place of {expected!r}")
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
                    "give one object per line, so that it is counted, or leave the row out"
                ) from None
            except ValueError as error:
                if self.ended:
                    raise self.damaged(error) from error
                self._more(piece)
                piece *= 2

    def _more(self, size: int) -> None:
        piece = self.handle.read(size)
        self.ended = not piece
        try:
            self.text = self.text[self.place :] + self.decoder.decode(piece, final=self.ended)
        except UnicodeDecodeError as error:
            raise self.damaged(error) from error
        self.place = 0


def _line_row(line: bytes) -> dict[str, Any] | BadRow:
    beginning = line[:200].decode("utf-8", "backslashreplace")
    try:
        row = json.loads(line.decode("utf-8").lstrip(MARK))
    except UnicodeDecodeError:
        return BadRow("not-utf8", beginning)
    except ValueError:
        return BadRow("not-json", beginning)
    except RecursionError:
        return BadRow(NESTED, beginning)
    return row if isinstance(row, dict) else BadRow("no-object", beginning)
