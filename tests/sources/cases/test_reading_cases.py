"""Raw files and conversations after public bug reports and forum threads, in our own words, with the expected result.

`reading.jsonl` has one small raw file per line with its adapter, and the records and drops of it; `format.jsonl` has
conversations with the format filter's reason. `source` is the report that a case was made after.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from datatrove.data import Document

from scripts.common.records import record_id
from scripts.curate.format import FormatFilter
from scripts.curate.settings.format import Format
from scripts.curate.views import whole
from scripts.sources.normalize import Normalize, normalize
from scripts.sources.rows import SourceError, read_rows


def cases(name: str) -> list[Any]:
    lines = (Path(__file__).parent / name).read_text().splitlines()
    return [pytest.param(case, id=case["about"]) for case in map(json.loads, lines)]


@pytest.mark.parametrize("case", cases("reading.jsonl"))
def test_a_raw_file_is_read_as_expected(tmp_path: Path, case: dict[str, Any]) -> None:
    path = tmp_path / "raw"
    path.write_bytes(base64.b64decode(case["base64"]) if "base64" in case else case["content"].encode())
    if "error" in case:
        with pytest.raises(SourceError) as error:
            list(read_rows(path))
        assert str(error.value) == f"{path} is {case['error']}"
        return
    source = {"role": "sft", "domain": None, "licence": "MIT", "kind": "file", "path": "raw", "sha256": "0" * 64}
    settings = Normalize.model_validate({"name": "mine", "source": {**source, "adapter": case["adapter"]}})
    dropped: list[dict[str, Any]] = []
    kept = [as_written(record) for record in normalize(settings, read_rows(path), dropped)]
    assert kept == case["kept"]
    assert Counter(row["reason"] for row in dropped) == case["dropped"]


def as_written(record: dict[str, Any]) -> dict[str, Any]:
    """A record as the cases write it: without an answer and meta fields that it does not have."""
    kind, meta = record["answer"]["kind"], json.loads(record["meta"])
    return {
        "messages": [[message["role"], message["content"]] for message in record["messages"]],
        **({} if kind == "none" else {"answer": [kind, json.loads(record["answer"]["spec"])]}),
        **({"meta": meta} if meta else {}),
    }


@pytest.mark.parametrize("case", cases("format.jsonl"))
def test_the_format_filter_decides_as_expected(case: dict[str, Any]) -> None:
    messages = [{"role": role, "content": content} for role, content in case["messages"]]
    record = {
        "id": record_id("mine", case["about"]), "source": "mine", "domain": "", "meta": "{}", "messages": messages,
        "answer": {"kind": "none", "spec": "{}"},
    }  # fmt: skip
    document = Document(text=whole(record), id="0", metadata=record)
    verdict = FormatFilter(Format(step="format", last_role="assistant")).filter(document)
    assert verdict == ((False, case["reason"]) if case["reason"] else True)
