"""Files that hold items to verify, JSON lines here and Parquet in `table.py`: items out, verdicts into a copy.

Rows keep their order and their number: one that cannot be read has its verdict already, null and the reason.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from scripts.verify.answer import Verdict
from scripts.verify.items import BLOCK, ItemFile, Row, row_of

_PARQUET, _GZIP, _ZSTD = b"PAR1", b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_WRITING_DEPTH = 1000  # levels beyond what can be read: what was read can then be written


def item_file(source: Path, target: Path) -> ItemFile:
    """The file at `source`, read by its format. Raises ValueError if it has none of them, or `target` has another."""
    if not source.is_file():
        raise ValueError(f"{source} is not a regular file (it is read more than once)")
    if source.suffix == ".parquet":
        if target.suffix != ".parquet":
            raise ValueError(f"{source} is Parquet: call the output .parquet too, not {target.name}")
        from scripts.verify.table import Table  # loads pyarrow, which lines do not need

        return Table(source)
    with source.open("rb") as file:
        start = file.read(4)
    if target.suffix == ".parquet" or start == _PARQUET:
        raise ValueError(f"a Parquet file's name must end in .parquet, input and output both: {source}, {target}")
    if start.startswith((_GZIP, _ZSTD)):
        raise ValueError(f"{source} is compressed: unpack it first")
    return JsonLines(source)


@dataclass(frozen=True)
class JsonLines:
    """Lines {"response": "...", "answer": {"kind": ..., "spec": {...}}} with whatever other keys."""

    path: Path

    def count(self) -> int:
        """The number of lines; the last one may lack its end."""
        with self.path.open("rb") as lines:
            return sum(1 for _ in lines)

    def blocks(self) -> Iterator[list[Row]]:
        """What is to be verified on each line."""
        for block in self._lines():
            yield [_line_row(line) for line in block]

    def write(self, target: Path, verdicts: Iterator[list[Verdict]]) -> None:
        """Each line's object with its verdict; the verdict alone if a line is not an object."""
        with target.open("w") as out, _recursion_room():
            for lines, block in zip(self._lines(), verdicts, strict=True):
                for line, verdict in zip(lines, block, strict=True):
                    row = _line_object(line)
                    kept = {} if isinstance(row, Verdict) else row
                    out.write(json.dumps(kept | {"correct": verdict.correct, "reason": verdict.reason}) + "\n")

    def _lines(self) -> Iterator[list[bytes]]:
        with self.path.open("rb") as lines:
            while block := list(islice(lines, BLOCK)):
                yield block


def _line_row(line: bytes) -> Row:
    row = _line_object(line)
    if isinstance(row, Verdict):
        return row
    response, answer = row.get("response"), row.get("answer")
    if not isinstance(response, str):
        return Verdict(None, "bad line: `response` must be a string")
    if not isinstance(answer, dict):
        return Verdict(None, "bad line: `answer` must be an object with `kind` and `spec`")
    return row_of(response, answer.get("kind"), answer.get("spec", {}))


def _line_object(line: bytes) -> dict[str, Any] | Verdict:
    try:
        row = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        return Verdict(None, f"bad line: not JSON: {error}"[:300])
    if not isinstance(row, dict):
        return Verdict(None, f"bad line: a JSON object is needed, not {type(row).__name__}")
    return row


@contextmanager
def _recursion_room() -> Iterator[None]:
    """An object that was just read within the limit is to be written within it, wherever that is called from."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(limit + _WRITING_DEPTH)
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)
