"""Files of items to verify: what a row is, and what each format (`files.py`, `table.py`) offers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from scripts.verify.answer import Answer, AnswerError, Verdict

BLOCK = 2048  # rows in memory at once; verified, they are safe
Row = tuple[str, Answer] | Verdict
"""A response with its answer, or the verdict (null) on a row that cannot be read."""


class ItemFile(Protocol):
    """A file of items."""

    def count(self) -> int:
        """The number of rows."""

    def blocks(self) -> Iterator[list[Row]]:
        """The rows, `BLOCK` at a time."""

    def write(self, target: Path, verdicts: Iterator[list[Verdict]]) -> None:
        """Write a copy with `correct` and `reason` in each row; `verdicts` come in blocks as above."""


def row_of(response: str, kind: object, spec: object) -> Row:
    """The item of a row, or the verdict on a spec that cannot be read."""
    try:
        return response, Answer.from_json(kind, spec)
    except AnswerError as error:
        return Verdict(None, f"bad spec: {error}"[:300])
