"""Raw files: every shape is read, every bad line is counted, a damaged file is an error."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
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
    result = list(read_rows(written(tmp_path / "a.json", content)))
    assert [row for row in result if isinstance(row, dict)] == [value for value in values if isinstance(value, dict)]
    assert len(result) == len(values)


@pytest.mark.parametrize(
    "content", [b'[{"a": 1}', b'[{"a": 1} {"a": 2}]', b'[{"a": }]', b"[1, ]", b"[1] x", b'["\xff"]']
)
def test_a_damaged_array_is_an_error_that_names_it(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(SourceError, match=r"a.json starts as a JSON array and is not one .*fetch it again"):
        list(read_rows(written(tmp_path / "a.json", content)))


def test_a_line_of_ten_megabytes_is_a_row(tmp_path: Path) -> None:
    huge = {"a": "word " * 2_000_000}
    lines = json.dumps(huge).encode() + b'\n{"a": 2}\n'
    assert list(read_rows(written(tmp_path / "a.jsonl", lines))) == [huge, {"a": 2}]
    assert list(read_rows(written(tmp_path / "a.json", json.dumps([huge, {"a": 2}]).encode()))) == [huge, {"a": 2}]


def test_bad_lines_keep_their_place_and_say_why(tmp_path: Path) -> None:
    path = written(tmp_path / "x.jsonl", b'{"a": 1}\nno json\n\xff\xfe\n[1]\n\n{"a": 2}\n')
    result = list(read_rows(path))
    assert result[0] == {"a": 1} and result[-1] == {"a": 2}
    assert [row.reason for row in result if isinstance(row, BadRow)] == ["not-json", "not-utf8", "no-object"]


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
    """On a line of its own it is a bad row; in an array its end is not known."""
    deep = b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    result = list(read_rows(written(tmp_path / "a.jsonl", b'{"a": 1}\n' + deep + b'\n{"a": 2}\n')))
    assert result[::2] == ROWS
    assert isinstance(result[1], BadRow) and result[1].reason == "nested-too-deep"
    assert result[1].text.startswith('{"a": [[')
    with pytest.raises(SourceError, match=r"a.json has a row nested too deep .*give one object per line"):
        list(read_rows(written(tmp_path / "a.json", b"[" + deep + b"]")))


BOM = b"\xef\xbb\xbf"
ENCODINGS = ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]
MIXED = [{"a": "é\u2028漢\U0001f600"}, {"a": 2}]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("zipped", [False, True])
def test_the_first_bytes_tell_the_encoding(tmp_path: Path, encoding: str, zipped: bool) -> None:
    """With a byte order mark, and without one: JSON starts with an ASCII character, so its zeros tell the order."""
    lines = "\r\n".join(json.dumps(row, ensure_ascii=False) for row in MIXED)
    for text in (lines, "  \n" + json.dumps(MIXED, ensure_ascii=False, indent=1)):
        content = text.encode(encoding)
        path = written(tmp_path / "x.json", gzip.compress(content) if zipped else content)
        assert list(read_rows(path)) == MIXED


def test_a_mark_may_stand_before_any_row(tmp_path: Path) -> None:
    """As in files that were put together from files with marks, once or twice."""
    content = BOM + b'{"a": 1}\n' + BOM + BOM + b'{"a": 2}\n' + BOM + b"\n"
    assert list(read_rows(written(tmp_path / "x.jsonl", content))) == ROWS
    assert list(read_rows(written(tmp_path / "x.json", BOM + BOM + b"\n" + json.dumps(ROWS).encode()))) == ROWS


def test_half_of_a_surrogate_pair_in_utf16_costs_its_row_alone(tmp_path: Path) -> None:
    text = '{"a": 1}\n{"a": "\ud800"}\n{"a": 2}\n'
    result = list(read_rows(written(tmp_path / "x.jsonl", text.encode("utf-16", "surrogatepass"))))
    assert result[::2] == ROWS and isinstance(result[1], BadRow) and result[1].reason == "not-utf8"


def test_utf16_that_is_cut_is_an_error_that_names_it(tmp_path: Path) -> None:
    content = "\n".join(json.dumps(row) for row in ROWS).encode("utf-16")
    with pytest.raises(SourceError, match=r"x.jsonl is cut short or damaged .*fetch it again"):
        list(read_rows(written(tmp_path / "x.jsonl", content[:-1])))


ZIP = b"PK\x03\x04\x14\x00"
OTHERS = {
    ZIP: "a zip archive or a spreadsheet.*unpack it",
    bz2.compress(b"{}"): "compressed with bzip2.*unpack it",
    lzma.compress(b"{}"): "compressed with xz.*unpack it",
    b"\x28\xb5\x2f\xfd\x24\x00": "compressed with zstd.*unpack it",
    b"\0" * 257 + b"ustar\x0000": "a tar archive.*unpack it",
    b"\x89HDF\r\n\x1a\n": "HDF5.*write it as Parquet",
    b"SQLite format 3\x00": "an SQLite database.*write it as Parquet",
    b"<!DOCTYPE html><html>": "HTML or XML.*fetch it again",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n": "a pointer of Git LFS.*git lfs pull",
    gzip.compress(ZIP): "a zip archive.*unpack it",
    gzip.compress(gzip.compress(b"{}")): "a file that was gzipped.*unpack it",
    gzip.compress(b"PAR1"): "a file that was gzipped.*unpack it",
}


@pytest.mark.parametrize("content", OTHERS, ids=OTHERS.values())
def test_a_file_of_another_kind_is_an_error_that_says_which(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(SourceError, match=rf"raw is {OTHERS[content]}") as error:
        list(read_rows(written(tmp_path / "raw", content)))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "value", [{"data": ROWS}, {"a": 1, "b": {"c": [2]}}], ids=["rows in an object", "one pretty row"]
)
@pytest.mark.parametrize("copies", [1, 2])
def test_objects_over_several_lines_are_an_error_and_not_half_read(tmp_path: Path, value: object, copies: int) -> None:
    content = "\n".join([json.dumps(value, indent=1)] * copies).encode()
    with pytest.raises(SourceError, match=r"objects that go over several lines: give one object per line"):
        list(read_rows(written(tmp_path / "x.json", content)))


def test_rows_on_lines_within_an_object_are_an_error_too(tmp_path: Path) -> None:
    content = b'{"data": [\n{"a": 1},\n{"a": 2}\n]}'
    with pytest.raises(SourceError, match=r"objects that go over several lines"):
        list(read_rows(written(tmp_path / "x.json", content)))


@pytest.mark.parametrize(
    "first", [b'{"a": ', b'{"a": "tex', b"{", b'{"a": 1', b"nonsense", b"a,b,c", b'{"a": 1}{"a": 2}']
)
def test_a_damaged_first_line_costs_itself_alone(tmp_path: Path, first: bytes) -> None:
    result = list(read_rows(written(tmp_path / "x.jsonl", first + b'\n{"a": 1}\n{"a": 2}\n')))
    assert result[1:] == ROWS and isinstance(result[0], BadRow) and result[0].reason == "not-json"


def test_an_arrow_file_is_read_as_a_stream_is(tmp_path: Path) -> None:
    table = pa.Table.from_pylist(ROWS * 3)
    with pa.ipc.new_file(str(tmp_path / "a.arrow"), table.schema) as writer:
        writer.write_table(table, max_chunksize=4)
    assert list(read_rows(tmp_path / "a.arrow")) == ROWS * 3
    cut = written(tmp_path / "b.arrow", (tmp_path / "a.arrow").read_bytes()[:-20])
    with pytest.raises(SourceError, match=r"b.arrow is damaged Arrow .*fetch it again"):
        list(read_rows(cut))


def test_an_empty_file_has_no_rows(tmp_path: Path) -> None:
    assert list(read_rows(written(tmp_path / "empty.jsonl", b""))) == []
