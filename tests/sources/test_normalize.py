"""The step that normalizes: raw = kept + dropped, every kind of source, and errors that name the fix."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts.common import records
from scripts.common.artifacts import canonical_json, read_json
from scripts.common.fingerprint import ROOT

REVISION = "0123456789abcdef0123456789abcdef01234567"
PAIR = {"shape": "pair", "prompt": "p", "response": "r"}


def normalize(
    tmp_path: Path, source: dict[str, Any], *files: Path, limit: int | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the step as its rule does; the artifact is tmp_path/out. No file may have more than `limit` bytes."""
    recipe = canonical_json({"settings": {"name": "mine", "source": source}, "seed": 1})
    command = [sys.executable, "-m", "scripts.sources.normalize", "--recipe", recipe, "--out", "out/manifest.json"]
    command += ["--files", *map(str, files)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    if limit is not None:
        command = ["prlimit", f"--fsize={limit}", *command]
    return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)


def file_source(tmp_path: Path, content: bytes, **overrides: Any) -> dict[str, Any]:
    (tmp_path / "raw.jsonl").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    common = {"role": "sft", "domain": "math", "licence": "MIT", "adapter": PAIR}
    return {"kind": "file", "path": "raw.jsonl", "sha256": digest, **common, **overrides}


def test_every_row_is_kept_or_dropped_with_a_reason(tmp_path: Path) -> None:
    lines = [
        b'{"p": "q1", "r": "r1"}',
        b"nonsense",
        b'{"p": null, "r": "r"}',
        b'{"p": "\\ud800", "r": "r"}',
        b"\xff",
        b'{"p": "q2", "r": "r2"}',
    ]
    run = normalize(tmp_path, file_source(tmp_path, b"\n".join(lines)), NEBULA_CORPORA=str(tmp_path))
    assert run.returncode == 0, run.stderr
    counts = read_json(tmp_path / "out" / "manifest.json")["counts"]
    assert counts["raw"] == 6 and counts["kept"] == 2
    assert counts["dropped"] == {"lone-surrogate": 1, "not-json": 1, "not-utf8": 1, "p-missing": 1}
    kept = records.read(tmp_path / "out" / "records")
    assert [records.prompt_of(row["messages"]) for row in kept] == ["q1", "q2"]
    dropped = records.read(tmp_path / "out" / "dropped")
    assert {row["step"] for row in dropped} == {"normalize"} and json.loads(dropped[0]["meta"])["raw"] == "nonsense\n"


def test_text_that_parquet_cannot_hold_is_dropped_in_any_field(tmp_path: Path) -> None:
    lines = [
        b'{"p": "q", "r": "\\udc00"}',
        b'{"p": "q", "r": "r", "m": ["\\ud83d"]}',
        b'{"p": "q", "r": "r", "a": "\\ud800"}',
        b'{"p": "q", "r": "r", "m": "\\ud83d\\ude00"}',  # a pair is one character
    ]
    adapter = {**PAIR, "meta": ["m"], "answer": "math", "target": "a"}
    rows = b"\n".join(line.replace(b"}", b', "a": "1"}') if b'"a"' not in line else line for line in lines)
    run = normalize(tmp_path, file_source(tmp_path, rows, adapter=adapter), NEBULA_CORPORA=str(tmp_path))
    assert run.returncode == 0, run.stderr
    counts = read_json(tmp_path / "out" / "manifest.json")["counts"]
    assert (counts["kept"], counts["dropped"]) == (1, {"lone-surrogate": 3})
    assert json.loads(records.read(tmp_path / "out" / "records")[0]["meta"]) == {"m": "\N{GRINNING FACE}"}


def test_rows_nested_beyond_reading_are_dropped(tmp_path: Path) -> None:
    """As a line, within a text that an adapter reads as JSON, and just short of what Python reads but cannot write."""
    deep = b"[" * 100_000 + b"]" * 100_000
    lines = [
        b'{"p": "q", "r": "r", "m": ' + deep + b"}",
        b'{"p": "q", "r": "r", "x": "' + deep + b'"}',
        b'{"p": "q", "r": "r"}',
        *(b'{"p": "q", "r": "r", "m": ' + b"[" * depth + b"]" * depth + b"}" for depth in range(940, 1000)),
    ]
    adapter = {**PAIR, "meta": ["m", "x.0"]}
    source = file_source(tmp_path, b"\n".join(lines), adapter=adapter)
    run = normalize(tmp_path, source, NEBULA_CORPORA=str(tmp_path))
    assert run.returncode == 0, run.stderr[-2000:]
    counts = read_json(tmp_path / "out" / "manifest.json")["counts"]
    assert set(counts["dropped"]) == {"nested-too-deep"} and counts["raw"] == 63
    assert json.loads(records.read(tmp_path / "out" / "records")[0]["meta"]) == {"m": None, "x.0": None}


def test_a_misspelt_field_is_an_error_and_a_missing_value_is_not(tmp_path: Path) -> None:
    """A misspelt optional field would cost every row that part in silence."""
    rows = b'{"p": "q", "r": "r"}\n{"p": "q2", "r": "r2", "x": "more"}\n'
    adapter = {"shape": "instruction", "prompt": "p", "response": "r", "input": "x"}
    run = normalize(tmp_path, file_source(tmp_path, rows, adapter=adapter), NEBULA_CORPORA=str(tmp_path))
    assert run.returncode == 0, run.stderr
    source = file_source(tmp_path, rows, adapter={**adapter, "input": "imput"})
    run = normalize(tmp_path, source, NEBULA_CORPORA=str(tmp_path))
    message = "sources.mine.adapter.input: no row has the field 'imput', and the adapter does not read x: name"
    assert run.returncode != 0 and message in run.stderr, run.stderr


def test_a_field_that_no_row_has_is_left_out_if_all_columns_are_read(tmp_path: Path) -> None:
    """Instructions without an input may lack the column."""
    adapter = {"shape": "instruction", "prompt": "p", "response": "r", "input": "x", "meta": ["level"]}
    source = file_source(tmp_path, b'{"p": "q", "r": "r"}\n', adapter=adapter)
    run = normalize(tmp_path, source, NEBULA_CORPORA=str(tmp_path))
    assert run.returncode == 0, run.stderr
    record = records.read(tmp_path / "out" / "records")[0]
    assert records.prompt_of(record["messages"]) == "q" and json.loads(record["meta"]) == {"level": None}


def test_lines_that_are_not_json_do_not_blame_the_adapter(tmp_path: Path) -> None:
    run = normalize(tmp_path, file_source(tmp_path, b"p,r\nq1,r1\nq2,r2\n"), NEBULA_CORPORA=str(tmp_path))
    message = (
        "sources.mine: no row became a record ({'not-json': 3}): it must be Parquet, Arrow, a JSON array or one JSON "
        "object per line; the first begins 'p,r\\n'"
    )
    assert run.returncode != 0 and message in run.stderr, run.stderr


def test_keys_of_turns_that_no_record_holds_are_counted(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "q", "name": "Ann"}, {"role": "assistant", "content": "r", "lang": None}]
    rows = "\n".join([json.dumps({"m": turns})] * 3).encode()
    source = file_source(tmp_path, rows, adapter={"shape": "messages", "prompt": "m"})
    run = normalize(tmp_path, source, NEBULA_CORPORA=str(tmp_path))
    assert run.returncode == 0, run.stderr
    assert read_json(tmp_path / "out" / "manifest.json")["counts"]["unread_keys"] == {"name": 3}


def test_same_bytes_twice(tmp_path: Path) -> None:
    source = file_source(tmp_path, b'{"p": "q", "r": "r"}\n' * 3)
    manifests = []
    for _ in range(2):
        assert normalize(tmp_path, source, NEBULA_CORPORA=str(tmp_path)).returncode == 0
        manifests.append((tmp_path / "out" / "manifest.json").read_bytes())
    assert manifests[0] == manifests[1]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"sha256": "0" * 64}, "sources.mine.sha256: .* the configuration states 0000"),
        ({"path": "elsewhere.jsonl"}, "sources.mine.path: .*elsewhere.jsonl does not exist; set corpora_dir"),
        ({"adapter": {**PAIR, "prompt": "question"}}, "no row became a record .*question-missing.*check its adapter"),
    ],
)
def test_a_source_that_cannot_be_read_leaves_nothing(tmp_path: Path, overrides: dict, message: str) -> None:
    run = normalize(tmp_path, file_source(tmp_path, b'{"p": "q", "r": "r"}', **overrides), NEBULA_CORPORA=str(tmp_path))
    assert run.returncode != 0
    assert re.search(message, run.stderr), run.stderr
    assert not (tmp_path / "out").exists()


def test_a_wrong_download_is_fetched_again_by_the_next_run(tmp_path: Path) -> None:
    good, served = b'{"p": "q", "r": "r"}', tmp_path / "served.jsonl"
    source = file_source(tmp_path, good, path=served.as_uri())
    served.write_bytes(b"<html>Too many requests</html>")
    wrong = hashlib.sha256(served.read_bytes()).hexdigest()
    run = normalize(tmp_path, source)
    assert run.returncode != 0 and f"sources.mine.sha256: {served.as_uri()} has {wrong}" in run.stderr, run.stderr
    served.write_bytes(good)
    run = normalize(tmp_path, source)
    assert run.returncode == 0, run.stderr
    assert [records.response_of(row["messages"]) for row in records.read(tmp_path / "out" / "records")] == ["r"]


def test_a_source_without_rows_says_so(tmp_path: Path) -> None:
    run = normalize(tmp_path, file_source(tmp_path, b"\n"), NEBULA_CORPORA=str(tmp_path))
    assert run.returncode != 0 and "sources.mine: it has no rows; fetch it again" in run.stderr
    assert not (tmp_path / "out").exists()


def test_a_disk_that_is_full_leaves_nothing_that_looks_finished(tmp_path: Path) -> None:
    rng = random.Random(0)
    lines = [json.dumps({"p": f"{rng.random()} " * 20, "r": f"{rng.random()} " * 20}) for _ in range(2000)]
    source = file_source(tmp_path, "\n".join(lines).encode())
    full = normalize(tmp_path, source, NEBULA_CORPORA=str(tmp_path), limit=20_000)
    assert full.returncode != 0 and "File too large" in full.stderr, full.stderr
    assert not list(tmp_path.glob("out*")) and not list(tmp_path.glob(".out*"))
    assert normalize(tmp_path, source, NEBULA_CORPORA=str(tmp_path)).returncode == 0


def hub_source(split: str = "train") -> dict[str, Any]:
    common = {"role": "sft", "domain": None, "licence": "MIT", "adapter": PAIR}
    return {"kind": "hub", "dataset": "org/data", "revision": REVISION, "split": split, **common}


def download(tmp_path: Path, revision: str = REVISION, files: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run the step that fetches; the artifact is tmp_path/download, the cache tmp_path/hub."""
    settings = {"name": "mine", "dataset": "org/data", "revision": revision, "files": files}
    recipe = canonical_json({"settings": settings, "seed": 1})
    command = [sys.executable, "-m", "scripts.sources.download", "--recipe", recipe, "--out", "download/manifest.json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HOME": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1"}
    return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)


@pytest.fixture
def downloaded(tmp_path: Path) -> Path:
    """A download out of a cache that holds the data set."""
    snapshot = tmp_path / "hub" / "hub" / "datasets--org--data" / "snapshots" / REVISION / "data"
    snapshot.mkdir(parents=True)
    (snapshot / "train.jsonl").write_text('{"p": "q", "r": "r"}\n{"p": "q2", "r": "r2"}\n')
    run = download(tmp_path)
    assert run.returncode == 0, run.stderr
    return tmp_path / "download" / "manifest.json"


def test_a_hub_data_set_is_fetched_whole_and_read_without_a_network(tmp_path: Path, downloaded: Path) -> None:
    assert set(read_json(downloaded)["files"]) == {"data/train.jsonl"}
    run = normalize(tmp_path, {**hub_source(), "rows": 1, "cut": True}, downloaded, HF_HUB_OFFLINE="1")
    assert run.returncode == 0, run.stderr
    assert [records.response_of(row["messages"]) for row in records.read(tmp_path / "out" / "records")] == ["r"]


def test_a_download_holds_the_files_of_its_pattern_alone(tmp_path: Path, downloaded: Path) -> None:
    snapshot = tmp_path / "hub" / "hub" / "datasets--org--data" / "snapshots" / REVISION
    (snapshot / "other").mkdir()
    for name in ("README.md", "other/train.jsonl", "data/train.csv"):
        (snapshot / name).write_text("fetched by somebody else")
    run = download(tmp_path, files="data/*.jsonl")
    assert run.returncode == 0, run.stderr
    assert set(read_json(downloaded)["files"]) == {"data/train.jsonl"}


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"rows": 3}, "has 2 rows, the configuration states 3. .*or state 2$"),
        ({"rows": 3, "cut": True}, "has 2 rows, the configuration states 3. .*or state 2$"),
        ({"rows": 1}, "has more than 1 rows, the configuration states 1. .*or state `cut: true`$"),
        ({"rows": 1, "split": "", "files": "data/*.jsonl"}, "data.* has more than 1 rows"),
    ],
)
def test_another_number_of_rows_than_stated_is_an_error(
    tmp_path: Path, downloaded: Path, stated: dict[str, Any], message: str
) -> None:
    run = normalize(tmp_path, {**hub_source(), **stated}, downloaded)
    assert run.returncode != 0 and re.search(rf"sources\.mine\.rows: .*{message}", run.stderr, re.M), run.stderr
    assert not (tmp_path / "out").exists()


def test_a_split_that_the_data_set_lacks_is_named(tmp_path: Path, downloaded: Path) -> None:
    run = normalize(tmp_path, hub_source(split="validation"), downloaded)
    assert run.returncode != 0 and "sources.mine: org/data" in run.stderr and "check its subset and split" in run.stderr


def test_a_hub_data_set_without_network_names_the_way_out(tmp_path: Path) -> None:
    run = download(tmp_path)
    assert run.returncode != 0 and "org/data" in run.stderr and "HF_HOME" in run.stderr


def test_an_unpinned_data_set_is_not_fetched(tmp_path: Path) -> None:
    run = download(tmp_path, revision="unpinned")
    assert run.returncode != 0 and "python -m scripts.workflow.pin" in run.stderr
