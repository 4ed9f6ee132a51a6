"""Values of a raw row: the field at a dotted path, and what a value is as text, as a number's digits, as JSON.

A field may be a dotted path (`reward_model.ground_truth`, `prompt.0.content`); a JSON text on the way is parsed.
Parquet and Arrow hold types that JSON has none for. They are converted here, or the row is dropped with a reason.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID


class RowError(ValueError):
    """This row is not a record; the message is a short constant, fit for counting."""


@dataclass(frozen=True)
class Unreadable:
    """Stands for a value that its file holds and Python cannot: a date after the year 9999, text that is not UTF-8."""

    error: str


def optional(row: Any, path: str) -> Any:
    """The value at a dotted path; None if a part of the path is missing, or if the value is null or NaN."""
    value = row
    for part in path.split("."):
        if isinstance(value, str):
            value = parsed(value)
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return None if is_gap(value) else value


def required(row: dict[str, Any], path: str) -> Any:
    """As `optional`, but a row without the value is dropped. Raises RowError."""
    value = optional(row, path)
    if value is None:
        raise RowError(f"{path}-missing")
    return value


def text(row: dict[str, Any], path: str) -> str:
    """The text at a path. Raises RowError for a value of another type."""
    value = required(row, path)
    if not isinstance(value, str):
        raise RowError(f"{path}-no-text")
    return value


def optional_text(row: dict[str, Any], path: str) -> str:
    """The text at a path, empty if there is none or only blanks. Raises RowError for a value of another type."""
    value = optional(row, path)
    if value is not None and not isinstance(value, str):
        raise RowError(f"{path}-no-text")
    return value if value and value.strip() else ""


def listed(value: Any, reason: str) -> list[Any]:
    """A list, or the list that a JSON text holds. Raises RowError with `reason` for anything else."""
    if isinstance(value, str):
        value = parsed(value)
    if not isinstance(value, list):
        raise RowError(reason)
    return value


def parsed(source: str) -> Any:
    """The value of a JSON text, None if it is not JSON."""
    try:
        return json.loads(source)
    except (ValueError, RecursionError):
        return None


def is_gap(value: Any) -> bool:
    """Whether a value says that there is none: null, or NaN, which pandas writes for a missing number."""
    return value is None or (isinstance(value, float | Decimal) and math.isnan(value))


def is_empty(value: Any) -> bool:
    """Whether a value carries nothing: a gap, false, blank text, or a list or object of such, also as JSON text."""
    if isinstance(value, str):
        return value.strip() in ("", "[]", "{}", "null")
    if isinstance(value, dict):
        return all(map(is_empty, value.values()))
    if isinstance(value, list | tuple):
        return all(map(is_empty, value))
    return value is False or is_gap(value)


def is_number(value: Any) -> bool:
    """Whether a value is a number; `true` and `false` are not."""
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def digits(number: int | float | Decimal, path: str) -> str:
    """A number in plain digits: no exponent, which LaTeX reads as a product with e. Raises RowError for infinities."""
    if isinstance(number, int):
        return json.dumps(number)
    if not math.isfinite(number):
        raise RowError(f"{path}-not-finite")
    return format(Decimal(str(number)), "f")


def place(value: Any) -> int | None:
    """The integer that a number is: 2, and 2.0, as pandas writes the integers of a column with gaps; else None."""
    if not is_number(value) or not math.isfinite(value) or value != int(value):
        return None
    return int(value)


def as_json(value: Any, path: str) -> Any:
    """A value of any type that Parquet has, as JSON holds it: NaN as null, decimals, dates, times and bytes as text.

    Raises RowError for bytes that are not UTF-8, and for values that are not data.
    """
    match value:
        case None | bool() | int() | str():
            return value
        case float() | Decimal():
            return _json_number(value)
        case date() | time():  # a datetime is a date
            return value.isoformat()
        case timedelta() | UUID():
            return str(value)
        case bytes():
            return _decoded(value, path)
        case Mapping():
            return {str(key): as_json(item, path) for key, item in value.items()}
        case list() | tuple():
            return [as_json(item, path) for item in value]
    raise RowError(f"{path}-unreadable")


def _json_number(value: float | Decimal) -> float | str | None:
    if math.isnan(value):
        return None
    return value if isinstance(value, float) and math.isfinite(value) else str(value)


def _decoded(value: bytes, path: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise RowError(f"{path}-not-utf8") from None
