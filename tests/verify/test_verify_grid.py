"""Grids: the last object's solution, every cell of it."""

from __future__ import annotations

import json

import pytest

from scripts.verify import Answer, VerifierPool, VerifySettings

SOLUTION = {"House 1": {"Name": "Eric", "Pet": "dog"}, "House 2": {"Name": "Peter", "Pet": "cat"}}
ANSWER = Answer("grid", {"solution": SOLUTION})
RIGHT = json.dumps({"reasoning": "Peter {not Eric has the cat", "solution": SOLUTION})
WRONG = RIGHT.replace('"dog"', '"cat"')


@pytest.mark.parametrize(
    ("response", "correct"),
    [
        (RIGHT, True),
        (f"Let me think {{aloud.\n```json\n{RIGHT}\n```\nDone.", True),
        (RIGHT.replace('Eric"', ' ERIC"'), True),
        (RIGHT.replace('"Eric"', '["Eric"]'), True),
        (f"{WRONG}\n{RIGHT}", True),
        (f"{RIGHT}\n{WRONG}", False),
        (WRONG, False),
        (RIGHT.replace('"Pet": "dog"', '"Pet": null'), False),
        (json.dumps({"solution": {"House 1": SOLUTION["House 1"]}}), False),
        (json.dumps(SOLUTION), False),
        (f"<think>{RIGHT}</think>I cannot say.", False),
        (RIGHT[:-1], False),
        ("", False),
    ],
)
def test_every_cell_of_the_last_solution_counts(pool: VerifierPool, response: str, correct: bool) -> None:
    verdict = pool.verify(response, ANSWER)
    assert verdict.correct is correct, verdict


@pytest.mark.parametrize("spec", [{}, {"solution": {}}, {"solution": []}, {"solution": {"House 1": {"Name": 1}}}])
def test_a_spec_without_cells_is_unverifiable(pool: VerifierPool, spec: dict[str, object]) -> None:
    verdict = pool.verify(RIGHT, Answer("grid", spec))
    assert verdict.correct is None
    assert verdict.reason.startswith("bad spec: ")


def test_braces_without_end_cost_their_own_line_only() -> None:
    with VerifierPool(1, VerifySettings(cpu_seconds=1.0)) as pool:
        verdicts = pool.verify_many([(RIGHT, ANSWER), ("{\n" * 200_000, ANSWER), (WRONG, ANSWER)])
    assert [verdict.correct for verdict in verdicts] == [True, None, False]
    assert verdicts[1].reason == "timeout: more than 1 s of CPU time"
