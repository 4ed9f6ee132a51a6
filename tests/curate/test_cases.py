"""Small inputs after public reports (cases/README.md), through the steps with the small scale's settings."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from curation import Row, chat, job, kept, write

from scripts.curate.check import Filter, filters_of, record_of
from scripts.curate.decontaminate import decontaminate
from scripts.curate.exact_dedup import deduplicate as exact
from scripts.curate.near_dedup import deduplicate as near
from scripts.workflow.config import Config, read

CASES = Path(__file__).parent / "cases"
DOCUMENTED: frozenset[str] = frozenset()
"""`why` of the cases that do not hold; docs/data.md argues each."""


def cases(name: str) -> list[Any]:
    lines = (CASES / f"{name}.jsonl").read_text().splitlines()
    return [pytest.param(case, id=f"{number}-{case['why']}") for number, case in enumerate(map(json.loads, lines))]


@cache
def small() -> Config:
    return read("small")


@cache
def filters() -> dict[str, Filter]:
    return {item.step: item for item in filters_of(small().pools["sft"])[0]}


def settings_of(step: str) -> Any:
    """A step's settings in the pool of prompts, which is the stricter one for copies."""
    return next(item for item in small().pools["rl"].steps if item.step == step)


@pytest.mark.parametrize("case", cases("records"))
def test_a_record_is_kept_or_dropped(case: dict[str, Any]) -> None:
    dropped = filters()[case["step"]].judge(record_of(json.dumps(case).encode()))
    reason = dropped[0] if dropped else "kept"
    expected = case["expected"]
    assert (reason == expected if expected != "dropped" else reason != "kept") == (case["why"] not in DOCUMENTED)


def exchange(texts: str | list[str]) -> Row:
    return chat(texts) if isinstance(texts, str) else chat(*texts)


@pytest.mark.parametrize("case", cases("pairs"))
def test_two_records_are_the_same_or_not(case: dict[str, Any], tmp_path: Path) -> None:
    work = job(tmp_path, case["step"], [exchange(case["first"]), exchange(case["second"])])
    {"exact-dedup": exact, "near-dedup": near}[case["step"]](work, settings_of(case["step"]))
    assert len(kept(work)) == case["kept"]


@pytest.mark.parametrize("case", cases("leaks"))
def test_a_record_is_contaminated_or_not(case: dict[str, Any], tmp_path: Path) -> None:
    folder = write(tmp_path / "benchmark", [chat(item, source="bench") for item in case["benchmark"]])
    work = job(tmp_path, "decontaminate", [exchange(case["record"])])
    counts = decontaminate(work, settings_of("decontaminate"), (folder,))
    assert counts["kept"] == (1 if case["expected"] == "kept" else 0)
