"""Code: small inputs made after public bug reports and other projects' test files, each with its source's address."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts.verify import Answer, VerifierPool

_CASES = {
    case["id"]: case
    for case in map(json.loads, (Path(__file__).parent / "cases" / "code.jsonl").read_text().splitlines())
}


@pytest.mark.parametrize("name", _CASES)
def test_a_public_case_has_its_expected_verdict(pool: VerifierPool, name: str) -> None:
    case = _CASES[name]
    verdict = pool.verify(case["response"], Answer(**case["answer"]))
    assert verdict.correct is case["expected"], (verdict, case["why"], case["source"])
