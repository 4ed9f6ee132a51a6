"""The dimensions along which the candidate responses to a prompt are cross-verified, and the rule that combines them.

Format and language follow the filters of Qwen3's cold start (arXiv 2505.09388, section 4.1: truncated, empty, mixed
languages); the vote is self-consistency (arXiv 2203.11171) over the extracted answers.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from scripts.common.chat.thinking import THINK_END, THINK_START, strip_thinking
from scripts.curate.languages import foreign
from scripts.curate.words import words
from scripts.distill.gather import Candidate
from scripts.distill.settings import ORIGINAL
from scripts.distill.settings.cross_verify import Acceptance, Checks
from scripts.verify import Answer, VerifySettings, choice, mathematics
from scripts.verify.answer import AnswerError
from scripts.verify.final_answer import find_answer

_NUMBER = re.compile(r"-?\d+(?:,\d{3})*(?:\.\d+)?(?:/\d+)?")


@dataclass(frozen=True)
class Dimensions:
    """The values of a candidate's dimensions, except the verifier's verdict."""

    vote: float | None
    """Share of the prompt's samples with the same answer; None if answers of this kind cannot be extracted."""
    agreement: float | None
    """Share of the other teachers whose commonest answer is the same; None if there is no other teacher or no vote."""
    format_ok: bool
    language_ok: bool
    length_ok: bool
    judge_score: float | None = None
    """The judge's score, 0 to 1; None if there is no judge, or if its text holds no score."""


def format_problem(candidate: Candidate, thinking: bool) -> str | None:
    """The first fault of a response's form, in a few words; None if it has none.

    With `thinking` a response needs one closed thinking block that is not empty, and an answer after it; without
    `thinking` it must not have a block. The start tag may be missing, since a chat template may put it in the prompt.
    """
    if candidate.finish_reason != "stop":
        return "truncated"
    thought, closed, _ = candidate.text.rpartition(THINK_END)
    if candidate.text.count(THINK_START) > 1 or candidate.text.count(THINK_END) > 1:
        return "repeated think block"
    if THINK_START in candidate.text and (not closed or THINK_START not in thought):
        return "unclosed think block"
    if thinking != bool(closed):
        return "missing think block" if thinking else "unwanted think block"
    if closed and not thought.replace(THINK_START, "").strip():
        return "empty think block"
    return None if strip_thinking(candidate.text) else "empty answer"


def language_ok(text: str, checks: Checks) -> bool:
    """Whether the whole response, except code and formulas, is in the configured languages or too short to tell."""
    return foreign(text, checks.languages, checks.language_threshold, checks.minimum_letters) is None


def length_ok(text: str, checks: Checks) -> bool:
    """Whether the answer has enough words, and the whole response does not have too many."""
    if len(words(strip_thinking(text))) < checks.minimum_words:
        return False
    return checks.maximum_words is None or len(words(text)) <= checks.maximum_words


def answer_key(text: str, answer: Answer, settings: VerifySettings) -> str | None:
    """The answer that a response states, normalised so that equal answers are equal strings; None if it states none.

    Only `math` and `choice` have answers that can be compared as text: see `comparable`.
    """
    response = strip_thinking(text)
    if answer.kind == "choice":
        return _chosen_option(response, answer, settings)
    stated = find_answer(response, settings)
    if stated is None:
        return None
    numbers = _NUMBER.findall(stated.text)
    key = stated.text if stated.exact or not numbers else numbers[-1]  # in prose the last number is the answer
    return _normalised(key)


def _normalised(text: str) -> str:
    """One spelling for numbers, for fractions, and for the value of a variable (`x = 5` becomes `5`)."""
    text = re.sub(r"(?<=\d),(?=\d{3})", "", re.sub(r"\s+", "", text).casefold())
    text = re.sub(r"\\[dt]frac", r"\\frac", re.sub(r"^[a-z]=(?=[^=]+$)", "", text))
    value = mathematics.number(text)
    return text if value is None else str(value[0])


def comparable(answer: Answer) -> bool:
    """Whether responses to this kind of prompt state an answer that can be voted on."""
    return answer.kind in ("math", "choice")


def _chosen_option(response: str, answer: Answer, settings: VerifySettings) -> str | None:
    """The option that the response states: the one with which the verifier would accept it."""
    options = answer.spec.get("options") or ()
    letters = list(options) if isinstance(options, dict) else string.ascii_uppercase[: len(options) or 10]
    for letter in letters:
        try:
            if choice.verify(response, answer.spec | {"target": letter}, settings).correct:
                return letter
        except AnswerError:  # an option whose name is not a letter
            continue
    return None


def votes(candidates: Sequence[Candidate], keys: Sequence[str | None]) -> list[tuple[float, float | None]]:
    """Vote and agreement of each candidate, from the answer keys (None: the candidate states no answer).

    Only samples vote, never the source's own response. A teacher's opinion is its commonest answer, and of equally
    common ones the first it states. A candidate that states no answer has a vote of 0 and agrees with nobody.
    """
    ballots = Counter(key for item, key in zip(candidates, keys, strict=True) if item.teacher != ORIGINAL)
    cast = ballots.total()
    opinions = _opinions(candidates, keys)
    results: list[tuple[float, float | None]] = []
    for item, key in zip(candidates, keys, strict=True):
        others = [opinion for teacher, opinion in opinions.items() if teacher != item.teacher]
        vote = ballots[key] / cast if key is not None and cast else 0.0
        same = sum(opinion == key for opinion in others) if key is not None else 0
        results.append((vote, same / len(others) if others else None))
    return results


def _opinions(candidates: Sequence[Candidate], keys: Sequence[str | None]) -> dict[str, str | None]:
    """The commonest answer of each teacher; None if it stated none."""
    counts: dict[str, Counter[str]] = {item.teacher: Counter() for item in candidates if item.teacher != ORIGINAL}
    for item, key in zip(candidates, keys, strict=True):
        if key is not None and item.teacher != ORIGINAL:
            counts[item.teacher][key] += 1
    return {teacher: (count.most_common(1)[0][0] if count else None) for teacher, count in counts.items()}


def refusals(values: Dimensions, correct: bool | None, verifiable: bool, rule: Acceptance) -> list[str]:
    """Names of the demands of the rule that a candidate does not meet; empty if it is accepted."""
    right = correct is True or (rule.correct == "where-verifiable" and not verifiable)
    demands = {
        "correct": rule.correct == "any" or right,
        "format": values.format_ok or not rule.format,
        "language": values.language_ok or not rule.language,
        "length": values.length_ok or not rule.length,
        "vote": values.vote is None or values.vote >= rule.minimum_vote,
        "agreement": values.agreement is None or values.agreement >= rule.minimum_agreement,
        "score": not rule.minimum_score or (values.judge_score or 0.0) >= rule.minimum_score,
    }
    return [name for name, met in demands.items() if not met]
