"""Verdicts on responses whose answers are as records hold them: a struct of kind and JSON spec, or null."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scripts.common.records import has_verifier
from scripts.common.step import workers
from scripts.verify import Answer, AnswerError, Verdict, VerifierPool, VerifySettings

NOTHING = Answer("none", {})
_Key = tuple[str, str | None, str | None]


def verifier_pool(settings: VerifySettings) -> VerifierPool:
    """A pool of as many processes as the step has workers."""
    return VerifierPool(workers(), settings)


def answer_of(column: Mapping[str, Any] | None) -> Answer:
    """The answer of a record; one without a kind is `none`. Raises AnswerError if it cannot be read."""
    if column is None or not has_verifier(column):
        return NOTHING
    return Answer.from_json(column["kind"], column["spec"] or {})


def verify_all(pool: VerifierPool, items: Sequence[tuple[str, Mapping[str, Any] | None]]) -> list[Verdict]:
    """The verdict on each (response, answer column), in order; an answer that cannot be read is unverifiable.

    Samples of one prompt are often the same text: equal items are verified once.
    """
    keys = [(response, *_answer_key(column)) for response, column in items]
    verdicts: dict[_Key, Verdict] = {}
    readable: dict[_Key, tuple[str, Answer]] = {}
    for key, (response, column) in dict(zip(keys, items, strict=True)).items():
        try:
            readable[key] = (response, answer_of(column))
        except AnswerError as error:
            verdicts[key] = Verdict(None, f"bad spec: {error}")
    verdicts |= zip(readable, pool.verify_many(list(readable.values())), strict=True)
    return [verdicts[key] for key in keys]


def _answer_key(column: Mapping[str, Any] | None) -> tuple[str | None, str | None]:
    """The kind and the text of the spec: equal for equal answers."""
    return (None, None) if column is None else (column["kind"], column["spec"])


def reason_head(verdict: Verdict) -> str:
    """The short stable beginning of a verdict's reason, for counts."""
    return verdict.reason.partition(":")[0]
