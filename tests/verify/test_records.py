"""Verdicts on answers as records hold them."""

from __future__ import annotations

import json
from collections.abc import Sequence

from scripts.verify import Answer, Verdict, VerifierPool
from scripts.verify.records import verify_all

NINE = {"kind": "math", "spec": json.dumps({"target": "9"})}
TEN = {"kind": "math", "spec": json.dumps({"target": "10"})}
SQUARE = {"kind": "code", "spec": json.dumps({"tests": ["assert f(3) == 9"], "entry_point": "f"})}


class Seen(VerifierPool):
    """A pool that keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__(1)
        self.asked: list[tuple[str, Answer]] = []

    def verify_many(self, items: Sequence[tuple[str, Answer]]) -> list[Verdict]:
        self.asked += items
        return super().verify_many(items)


def test_equal_responses_to_one_answer_are_judged_once_and_each_has_its_verdict() -> None:
    right, wrong = "def f(x): return x * x", "def f(x): return x + x"
    items = [(right, SQUARE), ("9", NINE), (wrong, SQUARE), (right, SQUARE), ("9", TEN), ("9", NINE), (wrong, SQUARE)]
    with Seen() as pool:
        verdicts = verify_all(pool, items)
    assert [verdict.correct for verdict in verdicts] == [True, True, False, True, False, True, False]
    assert [response for response, _ in pool.asked] == [right, "9", wrong, "9"]


def test_what_cannot_be_read_and_what_has_no_answer_stay_in_their_places() -> None:
    broken = {"kind": "math", "spec": "{"}
    items = [("9", None), ("9", broken), ("9", NINE), ("9", broken), ("9", {"kind": None, "spec": None})]
    with Seen() as pool:
        verdicts = verify_all(pool, items)
    assert [verdict.correct for verdict in verdicts] == [None, None, True, None, None]
    assert verdicts[1].reason == verdicts[3].reason
    assert verdicts[1].reason.startswith("bad spec: answer spec is not JSON")
