"""Vectors of prompts by an encoder model, and data sets selected by them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from scripts.common.artifacts import read_json, write_manifest
from scripts.common.records import RECORDS, make_record, prompt_of, read
from scripts.mix import build, encode
from scripts.mix.quotas import MixError
from scripts.mix.settings import Dataset
from tests.common.nano import math_records, run_step, save_model, save_records

ENGINE = {"kind": "transformers", "dtype": "float32", "batch_size": 3, "shard_size": 4}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("nano") / "encoder")


@pytest.fixture(autouse=True)
def _scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def prompts() -> list[dict[str, Any]]:
    """Sums, one of them twice, an empty prompt, and one longer than the context of 96 tokens."""
    records = math_records()
    for text in ("", "one and two make three " * 40):
        records.append(dict(make_record("s", "math", [{"role": "user", "content": text}], ("none", {}), {})))
    return [*records, records[0]]


def test_a_vector_is_the_mean_of_the_last_hidden_states(model: Path, tmp_path: Path) -> None:
    pool = save_records(tmp_path / "pool", prompts())
    out = run_step(encode, ENGINE, tmp_path / "vectors/manifest.json", pool=pool, encoder=model)
    rows = read(out.parent / RECORDS)
    assert [row["id"] for row in rows] == [record["id"] for record in prompts()[:-1]]
    assert read_json(out)["counts"] == {"in": 8, "kept": 8, "dropped": {}, "width": 32}
    tokenizer, network = AutoTokenizer.from_pretrained(model.parent), AutoModel.from_pretrained(model.parent).eval()
    for row, record in zip(rows, prompts(), strict=False):
        ids = tokenizer(prompt_of(record["messages"]), add_special_tokens=False)["input_ids"][:96] or [0]
        with torch.inference_mode():
            mean = network(torch.tensor([ids])).last_hidden_state[0].mean(0)
        assert np.allclose(row["vector"], (mean / mean.norm()).numpy(), atol=1e-5)


def test_a_stopped_encoding_continues_after_its_last_shard_with_the_same_bytes(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = save_records(tmp_path / "pool", prompts())
    whole = run_step(encode, ENGINE, tmp_path / "whole/manifest.json", pool=pool, encoder=model).read_bytes()
    call, sizes = encode.Encoder.__call__, list[int]()

    def stopped(encoder: encode.Encoder, texts: list[str]) -> Any:
        sizes.append(len(texts))
        if len(sizes) == 2:
            raise KeyboardInterrupt
        return call(encoder, texts)

    monkeypatch.setattr(encode.Encoder, "__call__", stopped)
    out = tmp_path / "again/manifest.json"
    with pytest.raises(KeyboardInterrupt):
        run_step(encode, ENGINE, out, pool=pool, encoder=model)
    assert not out.exists()
    assert run_step(encode, ENGINE, out, pool=pool, encoder=model).read_bytes() == whole
    assert sizes == [4, 4, 4]


def test_an_empty_pool_is_an_error(model: Path, tmp_path: Path) -> None:
    with pytest.raises(encode.EncodeError, match="holds no record"):
        run_step(encode, ENGINE, tmp_path / "x/manifest.json", pool=save_records(tmp_path / "p", []), encoder=model)


def save_vectors(folder: Path, vectors: dict[str, list[float]]) -> Path:
    (folder / RECORDS).mkdir(parents=True)
    columns = [pa.array(list(vectors)), pa.array(list(vectors.values()), encode.schema(2).field("vector").type)]
    pq.write_table(pa.table(columns, schema=encode.schema(2)), folder / RECORDS / "00000.parquet")
    write_manifest(folder, {})
    return folder / "manifest.json"


def test_a_data_set_is_selected_by_the_vectors(tmp_path: Path) -> None:
    """On a line at 0, 1, 2, 3, 4 and 10: the nearest to the mean of 3.3 is 3, then 10 and 0 are the farthest."""
    records = math_records()
    pool = save_records(tmp_path / "pool", records)
    places = [0.0, 1.0, 2.0, 3.0, 4.0, 10.0]
    vectors = {record["id"]: [x, 0.0] for record, x in reversed([*zip(records, places, strict=True)])}
    dataset = {"purpose": "sft", "pool": "p", "size": 3, "select": {"kind": "k-center", "encoder": "m"}}
    settings, out = {"name": "d", "dataset": dataset}, tmp_path / "out/manifest.json"
    run_step(build, settings, out, pool=pool, vectors=save_vectors(tmp_path / "vectors", vectors))
    assert {row["id"] for row in read(out.parent / RECORDS)} == {records[place]["id"] for place in (3, 5, 0)}
    with pytest.raises(MixError, match=r"select.encoder is m, but --vectors has 0"):
        run_step(build, settings, tmp_path / "x/manifest.json", pool=pool)
    del vectors[records[2]["id"]]
    fewer = save_vectors(tmp_path / "fewer", vectors)
    with pytest.raises(MixError, match=rf"has no vector for 1 of its prompts, the first {records[2]['id']}"):
        run_step(build, settings, tmp_path / "x/manifest.json", pool=pool, vectors=fewer)


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"pool": "p", "select": {"kind": "random", "encoder": "m"}}, "a random selection reads no prompt"),
        ({"sources": ["a"], "select": {"kind": "cluster", "encoder": "m"}}, "a data set of `sources` has none"),
    ],
)
def test_encoders_that_would_not_be_used_are_refused(stated: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Dataset.model_validate({"purpose": "sft", "size": None} | stated)
