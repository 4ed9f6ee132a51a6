"""From an answer's kind to its verifier. `quick` needs no library and no process; `verify` runs in a worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from scripts.common.answer_kinds import AnswerKind
from scripts.common.chat.thinking import strip_thinking
from scripts.verify import choice, grid, mathematics
from scripts.verify.answer import Answer, AnswerError, Verdict
from scripts.verify.settings import VerifySettings

Verifier = Callable[[str, Mapping[str, Any], VerifySettings], Verdict | None]

_REASON_CHARS = 500


def quick(response: str, answer: Answer, settings: VerifySettings) -> Verdict | None:
    """The verdict if plain Python reaches it in microseconds; None if it takes `verify`."""
    if answer.kind == "none":
        return Verdict(None, "no verifier: the answer's kind is none")
    if answer.kind == "choice":
        return _guarded(choice.verify, response, answer, settings)
    if answer.kind == "math":
        return _guarded(mathematics.quick, response, answer, settings)
    return None


def verify(response: str, answer: Answer, settings: VerifySettings) -> Verdict:
    """The verdict of the kind's own verifier. Never raises: what fails in a verifier is unverifiable."""
    if answer.kind == "math":
        verdict = _guarded(mathematics.verify, response, answer, settings)
    elif answer.kind == "grid":  # not quick: reading thousands of braces that open no object takes seconds
        verdict = _guarded(grid.verify, response, answer, settings)
    elif answer.kind == "code":
        from scripts.verify import code

        verdict = _guarded(code.verify, response, answer, settings)
    elif answer.kind == "instructions":
        from scripts.verify import instructions

        verdict = _guarded(instructions.verify, response, answer, settings)
    else:
        verdict = quick(response, answer, settings)
    assert verdict is not None, answer.kind
    return verdict


@cache
def load(kind: AnswerKind) -> None:
    """Import what `verify` needs for a kind, so that it counts against no item's time limit."""
    if kind == "math":
        mathematics.load()
    elif kind == "instructions":
        from scripts.verify import instructions

        instructions.load()


def wall_limit(answer: Answer, settings: VerifySettings) -> float:
    """Seconds after which a worker that verifies this item counts as hung: above every limit inside it."""
    tests = answer.spec.get("tests") if answer.kind == "code" else None
    runs = len(tests) if isinstance(tests, list) else 0
    packed = answer.spec.get("packed_tests")
    if isinstance(packed, dict) and isinstance(packed.get("count"), int):
        runs += packed["count"]
    return settings.item_wall_seconds + runs * settings.code_wall_seconds


def _guarded(verifier: Verifier, response: str, answer: Answer, settings: VerifySettings) -> Verdict | None:
    try:
        verdict = verifier(strip_thinking(response), answer.spec, settings)
    except AnswerError as error:
        verdict = Verdict(None, f"bad spec: {error}")
    except Exception as error:  # any other failure here is the verifier's own: nothing is said about the response
        verdict = Verdict(None, f"crash: {type(error).__name__}: {error}")
    return verdict and Verdict(verdict.correct, _printable(verdict.reason))


def _printable(reason: str) -> str:
    """A reason may quote a program or a spec: it must not break a table, a terminal or an encoding."""
    reason = reason[:_REASON_CHARS]
    if reason.isprintable():
        return reason
    return "".join(character if character.isprintable() else " " for character in reason)
