"""An answer, by which a verifier tells whether a response is right, and the verifier's verdict."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from scripts.common.answer_kinds import ANSWER_KINDS, AnswerKind


class AnswerError(ValueError):
    """An answer that no verifier can read: its kind is unknown or its spec is not what the kind needs."""


@dataclass(frozen=True)
class Answer:
    """What makes a response right: `kind` names the verifier, `spec` is what it needs (docs/verifiers.md)."""

    kind: AnswerKind
    spec: dict[str, Any]

    @classmethod
    def from_json(cls, kind: object, spec: object) -> Answer:
        """An answer as records and JSON lines hold it: `spec` is a JSON object or its text. Raises AnswerError."""
        if kind not in ANSWER_KINDS:
            raise AnswerError(f"answer kind {kind!r} is not one of {', '.join(ANSWER_KINDS)}")
        if isinstance(spec, str):
            spec = _parse(spec)
        if not isinstance(spec, dict):
            raise AnswerError(f"answer spec must be a JSON object, not {type(spec).__name__}")
        return cls(kind, spec)


@dataclass(frozen=True)
class Verdict:
    """`correct` is None if nothing can be said (unverifiable); `reason` says why, for people and for counts.

    A reason starts with a short stable word (`timeout`, `no answer`, `sandbox`, ...), details follow a colon.
    """

    correct: bool | None
    reason: str


def _parse(text: str) -> object:
    try:
        return json.loads(text) if text else {}
    except (ValueError, RecursionError) as error:
        raise AnswerError(f"answer spec is not JSON: {error}") from error
