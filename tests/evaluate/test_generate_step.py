"""Generations of a nano model on benchmarks: the order of items, templates, modes, limits, bad input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from scripts.common.artifacts import check
from scripts.evaluate import generate, score
from scripts.evaluate.benchmarks import Benchmark
from scripts.evaluate.generate import BenchmarkError, question
from tests.common.nano import math_records, run_step, save_model, save_records

ENGINE = {"kind": "transformers", "dtype": "float32", "batch_size": 8, "shard_size": 4}
SAMPLING = {"temperature": 1.0, "max_tokens": 10}
BENCHMARK = {
    "title": "Sums",
    "source": "sums",
    "domain": "math",
    "samples": 2,
    "metric": "pass@1",
    "instruct": SAMPLING,
    "thinking": SAMPLING | {"max_tokens": 14},
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("nano") / "model")


@pytest.fixture(autouse=True)
def _scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def recipe(thinking: bool = False, **benchmarks: dict[str, Any]) -> dict[str, Any]:
    questions = {name: Benchmark(**stated).questions(thinking).model_dump() for name, stated in benchmarks.items()}
    return {"benchmarks": questions, "engine": ENGINE, "thinking": thinking}


def test_items_keep_their_place_and_their_answers(model: Path, tmp_path: Path) -> None:
    records = math_records()
    records[1] = records[1] | {"answer": None}
    sums = save_records(tmp_path / "raw/sums", records)
    few = save_records(tmp_path / "raw/few", records[:1])
    settings = recipe(sums=BENCHMARK, short=BENCHMARK | {"limit": 2, "samples": 1}, few=BENCHMARK | {"source": "few"})
    outs = [tmp_path / f"generations/{name}.parquet" for name in ("sums", "short", "few")]
    run_step(generate, settings, outs, model=model, benchmarks=[few, sums])
    rows = pq.read_table(outs[0]).to_pylist()
    assert [(row["id"], row["sample"]) for row in rows] == [(item["id"], n) for item in records for n in range(2)]
    assert [row["answer"] for row in rows[::2]] == [item["answer"] for item in records]
    assert [row["prompt"] for row in rows[::2]] == [item["messages"][:1] for item in records], (
        "the prompt has no answer"
    )
    assert {row["thinking"] for row in rows} == {False}
    assert all(1 <= row["tokens"] <= 10 for row in rows)
    assert len(pq.read_table(outs[1])) == 2 and len(pq.read_table(outs[2])) == 2
    short = pq.read_table(outs[1]).to_pylist()
    assert [row["response"] for row in short] == [row["response"] for row in rows[:4:2]], (
        "the number of samples changes no sample"
    )
    assert all(check(out) == [] for out in outs)
    scores = [tmp_path / f"scores/{name}.json" for name in ("sums", "short", "few")]
    metrics = {"model": "m", "benchmarks": dict.fromkeys(("sums", "short", "few"), "pass@1"), "verify": {}}
    run_step(score, metrics, scores, generations=outs)


def test_a_rerun_gives_the_same_bytes(model: Path, tmp_path: Path) -> None:
    sums = save_records(tmp_path / "raw/sums", math_records())
    files = [tmp_path / name / "sums.parquet" for name in "ab"]
    for file in files:
        run_step(generate, recipe(sums=BENCHMARK), [file], model=model, benchmarks=[sums])
    assert files[0].read_bytes() == files[1].read_bytes()


def test_thinking_mode_has_its_own_sampling_and_prompt(model: Path, tmp_path: Path) -> None:
    sums = save_records(tmp_path / "raw/sums", math_records())
    files = {mode: tmp_path / str(mode) / "sums.parquet" for mode in (True, False)}
    for mode, file in files.items():
        run_step(generate, recipe(mode, sums=BENCHMARK), [file], model=model, benchmarks=[sums])
    thought, plain = (pq.read_table(files[mode]).to_pylist() for mode in (True, False))
    assert {row["thinking"] for row in thought} == {True}
    assert [row["response"] for row in thought] != [row["response"] for row in plain]
    assert max(row["tokens"] for row in thought) > 10


def test_the_template_goes_around_the_last_message_of_the_user() -> None:
    messages = [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "a {b}"},
        {"role": "assistant", "content": "gold"},
    ]
    assert question(messages, "Q: {prompt} {x}\nEnd with Answer:") == [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "Q: a {b} {x}\nEnd with Answer:"},
    ]
    with pytest.raises(BenchmarkError, match="must end with the user's message"):
        question(messages[:1], "{prompt}")


def test_thinking_may_have_a_template_of_its_own() -> None:
    """LiveCodeBench: the runner's instruction forbids everything but the program, and thinking would break it."""
    one = Benchmark(**BENCHMARK, template="Only this: {prompt}", thinking_template="This: {prompt}")
    assert (one.questions(False).template, one.questions(True).template) == ("Only this: {prompt}", "This: {prompt}")
    assert Benchmark(**BENCHMARK, template="Only this: {prompt}").questions(True).template == "Only this: {prompt}"
    with pytest.raises(ValidationError, match=r"has no {prompt}"):
        Benchmark(**BENCHMARK, thinking_template="This")


def test_template_without_the_prompt_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"has no {prompt}"):
        Benchmark(**BENCHMARK, template="Answer:")


def test_another_metric_or_title_generates_nothing_again() -> None:
    one, other = (Benchmark(**(BENCHMARK | change)) for change in ({}, {"metric": "strict-prompt", "title": "x"}))
    assert one.questions(False) == other.questions(False)


def test_empty_benchmark_is_an_error(model: Path, tmp_path: Path) -> None:
    sums = save_records(tmp_path / "raw/sums", [])
    with pytest.raises(BenchmarkError, match="has no item"):
        run_step(generate, recipe(sums=BENCHMARK), [tmp_path / "sums.parquet"], model=model, benchmarks=[sums])


def test_a_repeated_item_is_an_error_before_the_engine_starts(model: Path, tmp_path: Path) -> None:
    sums = save_records(tmp_path / "raw/sums", [*math_records(), math_records()[2]])
    with pytest.raises(BenchmarkError, match=rf"raw/sums has {math_records()[2]['id']} 2 times"):
        run_step(generate, recipe(sums=BENCHMARK), [tmp_path / "sums.parquet"], model=model, benchmarks=[sums])


def test_a_missing_source_is_an_error(model: Path, tmp_path: Path) -> None:
    other = save_records(tmp_path / "raw/other", math_records())
    with pytest.raises(BenchmarkError, match=r"--benchmarks has \['other'\], not the source of {'sums': 'sums'}"):
        run_step(generate, recipe(sums=BENCHMARK), [tmp_path / "sums.parquet"], model=model, benchmarks=[other])
