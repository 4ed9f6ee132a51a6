"""Raw files: every shape is read, every bad line is counted, a damaged file is an error."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scripts.sources import rows
from scripts.sources.rows import BadRow, SourceError, read_rows

ROWS = [{"a": 1}, {"a": 2}]


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", ["rows.json", "rows.jsonl", "rows.txt"])
def test_lines_are_read_whatever_the_file_is_called(tmp_path: Path, name: str) -> None:
    content = b"\n".join(json.dumps(row).encode() for row in ROWS)
    assert list(read_rows(written(tmp_path / name, content))) == ROWS


def test_array_gzip_and_parquet(tmp_path: Path) -> None:
    array = json.dumps(ROWS).encode()
    assert list(read_rows(written(tmp_path / "a.json", b"  \n" + array))) == ROWS
    assert list(read_rows(written(tmp_path / "b.gz", gzip.compress(array)))) == ROWS
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "c.parquet")
    assert list(read_rows(tmp_path / "c.parquet")) == ROWS


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8"), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(values=st.lists(VALUES, max_size=6), piece=st.integers(1, 12), indent=st.sampled_from([None, 1]))
def test_an_array_is_read_in_pieces_of_any_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: list[object], piece: int, indent: int | None
) -> None:
    monkeypatch.setattr(rows, "PIECE", piece)
    content = json.dumps(values, ensure_ascii=False, indent=indent).encode("utf-8", "surrogatepass")
    found = list(read_rows(written(tmp_path / "a.json", content)))
    assert [row for row in found if isinstance(row, dict)] == [value for value in values if isinstance(value, dict)]
    assert len(found) == len(values)


@pytest.mark.parametrize(
    "content", [b'[{"a": 1}', b'[{"a": 1} {"a": 2}]', b'[{"a": }]', b"[1, ]", b"[1] x", b'["\xff"]']
)
def test_an_array_that_is_none_is_an_error_that_names_it(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(SourceError, match=r"a.json starts as a JSON array and is none .*fetch it again"):
        list(read_rows(written(tmp_path / "a.json", content)))


def test_a_line_of_ten_megabytes_is_a_row(tmp_path: Path) -> None:
    huge = {"a": "word " * 2_000_000}
    lines = json.dumps(huge).encode() + b'\n{"a": 2}\n'
    assert list(read_rows(written(tmp_path / "a.jsonl", lines))) == [huge, {"a": 2}]
    assert list(read_rows(written(tmp_path / "a.json", json.dumps([huge, {"a": 2}]).encode()))) == [huge, {"a": 2}]


def test_bad_lines_keep_their_place_and_say_why(tmp_path: Path) -> None:
    path = written(tmp_path / "x.jsonl", b'{"a": 1}\nno json\n\xff\xfe\n[1]\n\n{"a": 2}\n')
    found = list(read_rows(path))
    assert found[0] == {"a": 1} and found[-1] == {"a": 2}
    assert [row.reason for row in found if isinstance(row, BadRow)] == ["not-json", "not-utf8", "no-object"]


@pytest.mark.parametrize("kind", ["parquet", "gzip", "array"])
def test_a_truncated_file_is_an_error_that_names_it(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "data"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(ROWS * 100), path)
    elif kind == "gzip":
        path.write_bytes(gzip.compress(b"\n".join(json.dumps({"a": i}).encode() for i in range(1000))))
    else:
        path.write_bytes(json.dumps(ROWS).encode())
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(SourceError, match=r"data .*fetch it again"):
        list(read_rows(path))


def test_a_damaged_gzip_is_an_error_that_names_it(tmp_path: Path) -> None:
    """The compressed stream's first byte (no kind of block: zlib's error), or the check sum after it."""
    whole = gzip.compress(b"\n".join(json.dumps({"a": i}).encode() for i in range(1000)))
    for content in (whole[:10] + b"\xff" + whole[11:], whole[:-8] + b"\0" * 4 + whole[-4:]):
        with pytest.raises(SourceError, match=r"data.gz is cut short or damaged .*fetch it again"):
            list(read_rows(written(tmp_path / "data.gz", content)))


def test_a_row_nested_beyond_reading(tmp_path: Path) -> None:
    """On a line of its own it is a bad row; in an array nobody knows where it ends."""
    deep = b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    found = list(read_rows(written(tmp_path / "a.jsonl", b'{"a": 1}\n' + deep + b'\n{"a": 2}\n')))
    assert found[::2] == ROWS
    assert (
        isinstance(found[1], BadRow) and found[1].reason == "nested-too-deep" and found[1].text.startswith('{"a": [[')
    )
    with pytest.raises(SourceError, match=r"a.json has a row nested too deep .*give one object a line"):
        list(read_rows(written(tmp_path / "a.json", b"[" + deep + b"]")))


def test_an_empty_file_has_no_rows(tmp_path: Path) -> None:
    assert list(read_rows(written(tmp_path / "empty.jsonl", b""))) == []
