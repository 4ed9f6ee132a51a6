"""Values of every type that Parquet has, as JSON, and numbers in digits."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.sources.rows import SourceError, read_rows
from scripts.sources.values import RowError, Unreadable, as_json, digits, is_empty, optional, place

NAME = UUID("6d0bd6fa-1def-4aa4-b26a-4aa64ee63400")


@pytest.mark.parametrize(
    ("value", "held"),
    [
        (math.nan, None),
        (math.inf, "inf"),
        (1.5, 1.5),
        (Decimal("12.50"), "12.50"),
        (Decimal("NaN"), None),
        (date(2024, 1, 2), "2024-01-02"),
        (datetime(2024, 1, 2, 3, 4, 5, 6, UTC), "2024-01-02T03:04:05.000006+00:00"),
        (time(3, 4), "03:04:00"),
        (timedelta(days=1, seconds=2), "1 day, 0:00:02"),
        (NAME, str(NAME)),
        ("é".encode(), "é"),
        ({1: (Decimal(1), [math.nan])}, {"1": ["1", [None]]}),
        ([("key", date(2024, 1, 2))], [["key", "2024-01-02"]]),
        (True, True),
        (2**70, 2**70),
    ],
)
def test_values_that_json_has_no_type_for(value: Any, held: Any) -> None:
    assert as_json(value, "m") == held
    assert type(as_json(value, "m")) is type(held)


@pytest.mark.parametrize(("value", "reason"), [(b"\xff", "m-not-utf8"), (Unreadable("x"), "m-unreadable")])
def test_a_value_that_json_cannot_hold_drops_the_row(value: Any, reason: str) -> None:
    for nested in (value, [value], {"a": value}):
        with pytest.raises(RowError, match=f"^{reason}$"):
            as_json(nested, "m")


@given(
    st.floats(allow_nan=False, allow_infinity=False)
    | st.integers()
    | st.decimals(allow_nan=False, allow_infinity=False)
)
def test_digits_are_the_number_without_an_exponent(number: float | int | Decimal) -> None:
    written = digits(number, "t")
    assert not set(written) - set("-.0123456789")
    assert (float(written) if isinstance(number, float) else Decimal(written)) == number


@given(st.integers(-(2**53), 2**53))
def test_a_place_is_an_integer_however_it_is_stored(number: int) -> None:
    assert place(number) == place(float(number)) == place(Decimal(number)) == number


@pytest.mark.parametrize("value", [True, False, 0.5, math.nan, math.inf, Decimal("Infinity"), "1", None, [1]])
def test_only_an_integer_is_a_place(value: Any) -> None:
    assert place(value) is None


def test_a_gap_at_the_end_of_a_path_is_missing() -> None:
    row = {"a": {"b": [math.nan, 1]}, "c": '{"d": NaN}'}
    assert optional(row, "a.b.0") is optional(row, "c.d") is optional(row, "a.b.2") is None
    assert optional(row, "a.b.1") == 1


@pytest.mark.parametrize("value", [0, 1, "0", "[0]", "x", [0], {"a": "b"}, True])
def test_a_value_that_carries_something_is_not_empty(value: Any) -> None:
    assert not is_empty(value)


# --- columns of Parquet and Arrow -------------------------------------------------------------------------------------

COLUMNS = {
    "decimal": pa.array([Decimal("1.50"), None]),
    "nanoseconds": pa.array([1, None], pa.timestamp("ns")),
    "zoned": pa.array([0, None], pa.timestamp("us", "Europe/Berlin")),
    "unknown zone": pa.array([0, None], pa.timestamp("us", "Mars/Base")),
    "far date": pa.array([10**7, None], pa.date32()),
    "time": pa.array([1, None], pa.time64("ns")),
    "duration": pa.array([5, None], pa.duration("ns")),
    "bytes": pa.array([b"ab", None]),
    "fixed bytes": pa.array([b"\xff\xfe", None], pa.binary(2)),
    "half": pa.array([1.5, None], pa.float16()),
    "map": pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64())),
    "dictionary": pa.array(["x", None]).dictionary_encode(),
    "nested": pa.array([{"a": [None, {"b": date(2024, 1, 2)}]}, None]),
    "not a number": pa.array([math.nan, math.inf]),
    "not UTF-8": pa.Array.from_buffers(pa.string(), 2, pa.array([b"\xff\xfe", b"x"]).buffers()),
}


def files(tmp_path: Path, table: pa.Table) -> Iterator[Path]:
    pq.write_table(table, tmp_path / "a.parquet")
    yield tmp_path / "a.parquet"
    for name, new in (("a.arrows", pa.ipc.new_stream), ("a.arrow", pa.ipc.new_file)):
        with new(str(tmp_path / name), table.schema) as writer:
            writer.write_table(table)
        yield tmp_path / name


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_of_any_type_costs_no_row_that_does_not_use_it(tmp_path: Path, name: str) -> None:
    """As JSON, or a reason for this row alone; the other columns are read in any case."""
    for path in files(tmp_path, pa.table({"q": ["first", "second"], "column": COLUMNS[name]})):
        rows = [row for row in read_rows(path) if isinstance(row, dict)]
        assert [row["q"] for row in rows] == ["first", "second"]
        for row in rows:
            try:
                json.dumps(as_json(optional(row, "column"), "column"), allow_nan=False)
            except RowError as error:
                assert str(error) in ("column-not-utf8", "column-unreadable")


def test_two_columns_of_one_name_are_an_error(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array(["x"]), pa.array(["y"])], names=["q", "q"])
    for path in files(tmp_path, table):
        with pytest.raises(SourceError, match=r"has two columns 'q': rename one"):
            list(read_rows(path))
