"""Candidate responses to one prompt, and the dimensions along which they are cross-verified.

Format and language as Qwen3's cold start filters them (arXiv 2505.09388, section 4.1: truncated, empty,
mixed languages); the vote is self-consistency's (arXiv 2203.11171), over extracted answers.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from scripts.curate.languages import foreign
from scripts.curate.words import words
from scripts.distill.settings import ORIGINAL, Acceptance, Checks
from scripts.verify import Answer, VerifySettings, choice, mathematics, strip_thinking
from scripts.verify.answer import AnswerError
from scripts.verify.final_answer import find_answer
from scripts.verify.thinking import CLOSE, OPEN

_NUMBER = re.compile(r"-?\d+(?:,\d{3})*(?:\.\d+)?(?:/\d+)?")


@dataclass(frozen=True)
class Candidate:
    """One response to a prompt: a teacher's sample, or the source's own."""

    teacher: str
    sample: int
    text: str
    finish_reason: str
    tokens: int | None
    """Generated tokens; None for the source's own response, which no tokenizer of ours has seen."""


@dataclass(frozen=True)
class Dimensions:
    """What was found out about a candidate, the verifier's word aside."""

    vote: float | None
    """Share of the prompt's samples with the same answer; None where answers of this kind cannot be extracted."""
    agreement: float | None
    """Share of the other teachers whose commonest answer is the same; None with no other teacher, or as above."""
    format_ok: bool
    language_ok: bool
    length_ok: bool
    judge_score: float | None = None
    """Of the judge, 0 to 1; None without a judge, or where its text holds no score."""


def format_problem(candidate: Candidate, thinking: bool) -> str | None:
    """What is wrong with a response's form, in a word; None when nothing is.

    With `thinking` there must be one closed block with something in it and an answer after it, without there
    must be none. A template may open the block in the prompt, so the opening tag may be missing.
    """
    if candidate.finish_reason != "stop":
        return "truncated"
    thought, closed, _ = candidate.text.rpartition(CLOSE)
    if candidate.text.count(OPEN) > 1 or candidate.text.count(CLOSE) > 1:
        return "repeated think block"
    if OPEN in candidate.text and (not closed or OPEN not in thought):
        return "unclosed think block"
    if thinking != bool(closed):
        return "missing think block" if thinking else "unwanted think block"
    if closed and not thought.replace(OPEN, "").strip():
        return "empty think block"
    return None if strip_thinking(candidate.text) else "empty answer"


def language_ok(text: str, checks: Checks) -> bool:
    """Whether the whole response, code and formulas aside, is in the wanted languages or too short to tell."""
    return foreign(text, checks.languages, checks.language_threshold, checks.minimum_letters) is None


def length_ok(text: str, checks: Checks) -> bool:
    """Whether the answer has enough words, and the whole response not too many."""
    if len(words(strip_thinking(text))) < checks.minimum_words:
        return False
    return checks.maximum_words is None or len(words(text)) <= checks.maximum_words


def answer_key(text: str, answer: Answer, settings: VerifySettings) -> str | None:
    """The answer that a response states, spelled so that equal ones compare equal; None where it states none.

    Only `math` and `choice` have answers that can be compared as text: see `comparable`.
    """
    response = strip_thinking(text)
    if answer.kind == "choice":
        return _chosen(response, answer, settings)
    stated = find_answer(response, settings)
    if stated is None:
        return None
    numbers = _NUMBER.findall(stated.text)
    key = stated.text if stated.exact or not numbers else numbers[-1]  # prose: its last number
    return _spelled(key)


def _spelled(text: str) -> str:
    """One spelling of what is written in several ways: numbers, fractions, a variable's value (`x = 5` as `5`)."""
    text = re.sub(r"(?<=\d),(?=\d{3})", "", re.sub(r"\s+", "", text).casefold())
    text = re.sub(r"\\[dt]frac", r"\\frac", re.sub(r"^[a-z]=(?=[^=]+$)", "", text))
    value = mathematics.number(text)
    return text if value is None else str(value[0])


def comparable(answer: Answer) -> bool:
    """Whether responses to this kind of prompt state an answer that can be voted on."""
    return answer.kind in ("math", "choice")


def _chosen(response: str, answer: Answer, settings: VerifySettings) -> str | None:
    """The option that the response states: the one that would make it right."""
    options = answer.spec.get("options") or ()
    letters = list(options) if isinstance(options, dict) else string.ascii_uppercase[: len(options) or 10]
    for letter in letters:
        try:
            if choice.verify(response, answer.spec | {"target": letter}, settings).correct:
                return letter
        except AnswerError:  # an option's name that is no letter
            continue
    return None


def votes(candidates: Sequence[Candidate], keys: Sequence[str | None]) -> list[tuple[float, float | None]]:
    """Vote and agreement of each candidate, from the answers extracted.

    Only samples vote, never the source's own response. A teacher's opinion is its commonest answer, the first
    stated where several are as common; candidates that state no answer agree with nobody.
    """
    ballots = Counter(key for item, key in zip(candidates, keys, strict=True) if item.teacher != ORIGINAL)
    cast = ballots.total()
    opinions = _opinions(candidates, keys)
    found: list[tuple[float, float | None]] = []
    for item, key in zip(candidates, keys, strict=True):
        others = [opinion for teacher, opinion in opinions.items() if teacher != item.teacher]
        vote = ballots[key] / cast if key is not None and cast else 0.0
        same = sum(opinion == key for opinion in others) if key is not None else 0
        found.append((vote, same / len(others) if others else None))
    return found


def _opinions(candidates: Sequence[Candidate], keys: Sequence[str | None]) -> dict[str, str | None]:
    """The commonest answer of each teacher; None where it stated none."""
    counts: dict[str, Counter[str]] = {item.teacher: Counter() for item in candidates if item.teacher != ORIGINAL}
    for item, key in zip(candidates, keys, strict=True):
        if key is not None and item.teacher != ORIGINAL:
            counts[item.teacher][key] += 1
    return {teacher: (count.most_common(1)[0][0] if count else None) for teacher, count in counts.items()}


def refusals(found: Dimensions, correct: bool | None, verifiable: bool, rule: Acceptance) -> list[str]:
    """The demands of the rule that a candidate does not meet, by dimension; none when it is accepted."""
    right = correct is True or (rule.correct == "where-verifiable" and not verifiable)
    demands = {
        "correct": rule.correct == "any" or right,
        "format": found.format_ok or not rule.format,
        "language": found.language_ok or not rule.language,
        "length": found.length_ok or not rule.length,
        "vote": found.vote is None or found.vote >= rule.minimum_vote,
        "agreement": found.agreement is None or found.agreement >= rule.minimum_agreement,
        "score": not rule.minimum_score or (found.judge_score or 0.0) >= rule.minimum_score,
    }
    return [name for name, met in demands.items() if not met]
