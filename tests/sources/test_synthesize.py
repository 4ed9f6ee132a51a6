"""The embedded corpora: the same bytes for a seed, true answers, faults as stated, benchmarks held out."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pyarrow.parquet as pq
import pytest

from scripts.sources.corpora import BENCHMARK_FILES, RL_FILES, VERIFIABLE, CorpusError, Families
from scripts.sources.faults import plant, sample_of
from scripts.sources.settings import Synthetic
from scripts.sources.synthesize import TRUTH, synthesize
from scripts.sources.tasks import arithmetic, code, instruction
from scripts.sources.tasks.base import LEVELS
from scripts.sources.tasks.knowledge import World, question
from scripts.verify import Answer, verify_many

FAULTS = {
    "wrong": 0.3, "exact": 0.05, "near": 0.05, "leak": 0.05, "language": 0.05,
    "truncated": 0.05, "refusal": 0.05, "loop": 0.05, "format": 0.05,
}  # fmt: skip
SIZES = Synthetic(
    sft={"math": 100, "code": 100, "instruction": 100, "knowledge": 100, "general": 40},
    rl=dict.fromkeys(VERIFIABLE, 30),
    pretrain=300,
    textbook=60,
    creatures=24,
    thinking=0.25,
    benchmark=24,
    faults=FAULTS,
)


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synthetic")
    synthesize(SIZES, 1, folder)
    return folder


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def truth(folder: Path) -> list[dict[str, Any]]:
    return pq.read_table(folder / TRUTH).to_pylist()


def prompts_of_the_benchmarks(folder: Path) -> set[str]:
    lines = [line for name in BENCHMARK_FILES.values() for line in (folder / name).read_text().splitlines()]
    return {json.loads(line)["prompt"] for line in lines}


def test_a_seed_gives_the_same_bytes_and_another_seed_others(corpora: Path, tmp_path: Path) -> None:
    for name, seed in (("same", 1), ("other", 2)):
        (tmp_path / name).mkdir()
        synthesize(SIZES, seed, tmp_path / name)
    assert digests(tmp_path / "same") == digests(corpora)
    assert not set(digests(tmp_path / "other").values()) & set(digests(corpora).values())


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("domain", VERIFIABLE)
def test_the_verifiers_accept_every_answer_and_reject_every_wrong_one(domain: str, level: int) -> None:
    draw = {"math": arithmetic.draw, "code": code.draw, "instruction": instruction.draw}.get(domain)
    draw = draw or World(Random("world"), 24).draw
    tasks = [draw(Random(f"{domain}-{level}-{index}"), level) for index in range(40)]
    answers = [Answer(task.kind, task.spec) for task in tasks]
    right = verify_many([(task.thinking(), answer) for task, answer in zip(tasks, answers, strict=True)], workers=0)
    wrong = verify_many([(task.wrong, answer) for task, answer in zip(tasks, answers, strict=True)], workers=0)
    assert [verdict.correct for verdict in right] == [True] * 40
    assert [verdict.correct for verdict in wrong] == [False] * 40


def test_faults_stand_at_their_rates(corpora: Path) -> None:
    for source in ("sums", "snippets", "rules", "quiz"):
        found = Counter(row["fault"] for row in truth(corpora) if row["source"] == source)
        added = sum(found[fault] for fault in ("exact", "near", "leak", "language"))
        size = found.total() - added
        assert {fault: found[fault] for fault in FAULTS} == {
            fault: round(rate * size) for fault, rate in FAULTS.items()
        }


def test_the_truth_file_says_what_is_in_the_raw_files(corpora: Path) -> None:
    rows = [row for row in truth(corpora) if row["source"] == "rules"]
    with gzip.open(corpora / "rules.jsonl.gz", "rt") as handle:
        raw = [json.loads(line) for line in handle]
    assert [row["messages"][0]["content"] for row in raw] == [row["prompt"] for row in rows]
    assert [row["messages"][-1]["content"] for row in raw] == [row["response"] for row in rows]


def test_copies_and_leaks_name_what_they_copy(corpora: Path) -> None:
    held_out = prompts_of_the_benchmarks(corpora)
    for row in truth(corpora):
        if row["fault"] == "leak":
            assert row["of"] in held_out
        if row["fault"] == "exact":
            assert row["prompt"] == row["of"]
        if row["fault"] == "near":
            assert row["prompt"].startswith(row["of"]) and row["prompt"] != row["of"]


def test_no_benchmark_question_stands_in_training_data_but_as_a_planted_leak(corpora: Path) -> None:
    held_out = {question(prompt) for prompt in prompts_of_the_benchmarks(corpora)}
    clean = [row["prompt"] for row in truth(corpora) if row["fault"] not in ("leak", "near")]
    for name in ("dialogues.jsonl", "textbook.jsonl"):
        rows = [json.loads(line) for line in (corpora / name).read_text().splitlines()]
        clean += [row["messages"][0]["content"] for row in rows]
    assert not held_out & {question(prompt) for prompt in clean}


def test_rl_candidates_are_distinct_and_of_every_level(corpora: Path) -> None:
    for domain, (name, _) in RL_FILES.items():
        if name.endswith(".jsonl"):
            rows = [json.loads(line) for line in (corpora / name).read_text().splitlines()]
            assert len({row["prompt"] for row in rows}) == SIZES.rl[domain]
            assert set(Counter(row["level"] for row in rows).values()) == {SIZES.rl[domain] // 3}


def test_more_items_than_a_family_has_is_an_error_that_names_it() -> None:
    with pytest.raises(CorpusError, match="math level 1 has no more distinct prompts"):
        Families(World(Random(1), 3)).distinct(Random(1), "math", 60_000)


def test_rates_that_cannot_be_planted_are_an_error() -> None:
    sample = sample_of(arithmetic.draw(Random(1), 1), thinking=False)
    with pytest.raises(ValueError, match="no sample is left for 'wrong'"):
        plant([sample], [], {"wrong": 0.6, "refusal": 1.0}, Random(1))
