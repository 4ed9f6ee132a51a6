"""What a verifier is given and what it says."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal, get_args

Kind = Literal["math", "code", "instructions", "choice", "grid", "none"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class AnswerError(ValueError):
    """An answer that no verifier can read: its kind is unknown or its spec is not what the kind needs."""


@dataclass(frozen=True)
class Answer:
    """What makes a response right: `kind` names the verifier, `spec` is what it needs (docs/verifiers.md)."""

    kind: Kind
    spec: dict[str, Any]

    @classmethod
    def from_json(cls, kind: object, spec: object) -> Answer:
        """An answer as records and JSON lines hold it: `spec` is a JSON object or its text. Raises AnswerError."""
        if kind not in KINDS:
            raise AnswerError(f"answer kind {kind!r} is none of {', '.join(KINDS)}")
        if isinstance(spec, str):
            spec = _parse(spec)
        if not isinstance(spec, dict):
            raise AnswerError(f"answer spec must be a JSON object, not {type(spec).__name__}")
        return cls(kind, spec)


@dataclass(frozen=True)
class Verdict:
    """`correct` is None where nothing can be said (unverifiable); `reason` says why, for people and for counts.

    A reason starts with a short stable word (`timeout`, `no answer`, `sandbox`, ...), details follow a colon.
    """

    correct: bool | None
    reason: str


def _parse(text: str) -> object:
    try:
        return json.loads(text) if text else {}
    except (ValueError, RecursionError) as error:
        raise AnswerError(f"answer spec is not JSON: {error}") from error
