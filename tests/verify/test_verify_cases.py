"""Cases made after public reports of other verifiers' faults, and further members of each kind of fault.

`cases/<kind>.jsonl` has one case per line: the address of the report (`source`), a response and an answer of our own
wording, the verdict that is right by the benchmark's convention (`expected`), and `why`. `cases/further/<kind>.jsonl`
has responses that are like those in `fault`, with verdicts stated by hand.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scripts.verify import Answer, VerifierPool

CASES = Path(__file__).parent / "cases"
EXCEPTIONS = {"math-094": (False, None)}
"""Verdicts that are accepted, if it is not the one expected alone: see docs/verifiers.md, Public reports."""


def cases(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def verdicts(pool: VerifierPool, rows: list[dict[str, Any]]) -> list[bool | None]:
    items = [(row["response"], Answer.from_json(row["answer"]["kind"], row["answer"]["spec"])) for row in rows]
    return [verdict.correct for verdict in pool.verify_many(items)]


@pytest.mark.parametrize("kind", sorted(path.stem for path in CASES.glob("*.jsonl")))
def test_cases_after_public_reports(pool: VerifierPool, kind: str) -> None:
    rows = cases(CASES / f"{kind}.jsonl")
    wrong = [
        (row["id"], row["why"], verdict)
        for row, verdict in zip(rows, verdicts(pool, rows), strict=True)
        if verdict not in EXCEPTIONS.get(row["id"], (row["expected"],))
    ]
    assert wrong == []


FURTHER = {
    (path.stem, row["fault"]): [each for each in cases(path) if each["fault"] == row["fault"]]
    for path in sorted((CASES / "further").glob("*.jsonl"))
    for row in cases(path)
}


@pytest.mark.parametrize(("kind", "fault"), FURTHER)
def test_further_members_of_each_kind_of_fault(pool: VerifierPool, kind: str, fault: str) -> None:
    rows = FURTHER[kind, fault]
    wrong = [
        (row["response"], row["answer"]["spec"], verdict)
        for row, verdict in zip(rows, verdicts(pool, rows), strict=True)
        if verdict is not row["expected"]
    ]
    assert wrong == []


def test_every_exception_is_a_case() -> None:
    assert EXCEPTIONS.keys() <= {row["id"] for path in CASES.glob("*.jsonl") for row in cases(path)}
