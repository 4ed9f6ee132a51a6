"""Math: the response's final answer against the target, by math-verify.

Three steps. `final_answer.py` takes the final answer from where benchmarks state it. `quick` settles what needs no
computer algebra: the same text, two plain numbers. `verify` asks math-verify, on the answer alone (its cost is linear
in the text it reads), the parsed targets and the verdicts kept, so that many samples of one problem cost one.
"""

from __future__ import annotations

import cmath
import math
import re
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from functools import cache, lru_cache
from itertools import product
from typing import Any

from scripts.verify.answer import AnswerError, Verdict
from scripts.verify.final_answer import Stated, boxed, find_answer, trim
from scripts.verify.latex_value import latex_values
from scripts.verify.settings import VerifySettings

_NUMBER = re.compile(
    r"(?P<sign>-?)(?:"
    r"(?P<whole>(?:0|[1-9]\d*|[1-9]\d{0,2}(?:,\d{3})+))(?P<point>\.\d+)?"
    r"|\\[dt]?frac\{(?P<over>\d+)\}\{(?P<under>\d+)\}"
    r"|(?P<above>\d+)/(?P<below>\d+)"
    r")"
)
_WORDS = re.compile(r"yes|no|[A-Za-z]{4,}(?:[ -][A-Za-z]+)*")
_SHORT_WORD = re.compile(r"\\text\{\s*[A-Za-z]{2,3}\s*\}")  # without the braces it may be a product
_TEXT = re.compile(r"\\(?:text|mbox|mathrm)\{(?!\s*\(?(?i:pi|and|or|i|e)\b)[A-Za-z ()]+\}")
_ALTERNATIVES = re.compile(r"\bor\b|\band\b|\bvs\b|\\[lv]or\b|\\vee\b|\d\s*[|?\s]\s*-?\d")
_LETTER = re.compile(r"\(?([A-J])\)?")
_LABEL = re.compile(
    r"(?:\\text(?:bf)?\{\s*\(([A-J])\)\s*\}|\(([A-J])\)(?=[\s\\]))"
    r"(?:\\[ ,;]|\\q?quad|\s)*(?=-?[$.\d]|\\[dt]?frac|\\sqrt|\\\$)"
)
"""The letter of an option before its value, as answers to AMC problems have it: `\\textbf{(C)}\\ 18`."""
_REST = re.compile(
    r"[.!?;](?:\s|$)|,?\s+(?:because|since|as|it|they|there)\b"
)  # what follows a word that is the answer
_QUICK_CHARS = 200  # a longer text is left to the time limit
_QUICK_DIGITS = 15  # sympy's floats carry 15 digits
_ROUNDING = 1e-5  # math-verify rounds decimals to 6 places: further apart than this is unequal
_MAX_PARSED = 100_000  # entries kept: some hundred bytes each


def quick(response: str, spec: Mapping[str, Any], settings: VerifySettings) -> Verdict | None:
    """The verdict where text and plain numbers settle it; None where computer algebra must be asked."""
    target = _target(spec)
    stated = _answer(response, target, settings)
    if stated is None or not stated.text:
        return Verdict(False, "no answer found")
    return _settle(stated, target)


def verify(response: str, spec: Mapping[str, Any], settings: VerifySettings) -> Verdict:
    """The verdict. Takes as long as it takes: the caller's process carries the time limit."""
    verdict = quick(response, spec, settings)
    if verdict is not None:
        return verdict
    target = _target(spec)
    stated = _answer(response, target, settings)
    assert stated is not None
    return _compare(target, stated)


def _answer(response: str, target: str, settings: VerifySettings) -> Stated | None:
    """What the response states; of an option with its letter and its value what the target is."""
    stated = find_answer(response, settings)
    label = _LABEL.match(stated.text) if stated else None
    if stated is None or label is None or _LABEL.match(target):
        return stated
    text = (label[1] or label[2]) if _LETTER.fullmatch(_plain_text(target)) else trim(stated.text[label.end() :])
    return Stated(text, stated.exact)


def _target(spec: Mapping[str, Any]) -> str:
    target = spec.get("target")
    if isinstance(target, int | float) and not isinstance(target, bool):
        target = _digits(target)
    if not isinstance(target, str) or not target.strip():
        raise AnswerError('math needs {"target": "..."}: the answer as LaTeX or plain text')
    return _clean_target(target)


def _digits(target: int | float) -> str:
    """A JSON number in digits: no exponent, which LaTeX would read as a product with e."""
    if not math.isfinite(target):
        raise AnswerError(f"math target {target} is no number")
    return format(Decimal(str(target)), "f")


@lru_cache(maxsize=_MAX_PARSED)
def _clean_target(target: str) -> str:
    """A target as its data set writes it (`#### 18`, `$18$`, `\\boxed{18}`) to the answer alone."""
    content = boxed(target)
    return content.text if content is not None else trim(target.rpartition("####")[2])


def _settle(stated: Stated, target: str) -> Verdict | None:
    if len(stated.text) > _QUICK_CHARS or len(target) > _QUICK_CHARS:
        return None
    if _WORDS.fullmatch(_plain_words(target)) or _SHORT_WORD.fullmatch(target):
        return _settle_words(stated, target)
    if _plain_text(stated.text) == _plain_text(target) and re.search(
        r"[0-9A-Za-z]", re.sub(r"\\[A-Za-z]+", "", target)
    ):
        return Verdict(True, "same text")
    wanted, given = number(target), number(stated.text)
    if wanted is not None and given is not None:
        return _settle_numbers(wanted, given)
    if wanted is not None and stated.exact and _ALTERNATIVES.search(stated.text):
        return Verdict(False, "ambiguous: several answers stated")
    if stated.exact and (_unlike(target, stated.text) or _unlike(stated.text, target)):
        return Verdict(False, "unequal values")
    return None


def _unlike(one: str, other: str) -> bool:
    """Whether `one` has values that `other` can not have, whatever computer algebra makes of it."""
    values = latex_values(one)
    if values is None:
        return False
    if len(values) == 1 and ("\\cup" in other or _TEXT.fullmatch(other)):
        return True  # a number is no union of intervals, and no word
    left, equals, right = other.partition("=")
    if equals and "=" not in one and not re.search(r"[=<>]|\\[gln]eq?|\\approx", left[-1:] + right):
        other = right  # math-verify compares a number with an equation's right side
    return _apart(values, latex_values(other.strip()))


def _apart(wanted: tuple[complex, ...] | None, given: tuple[complex, ...] | None) -> bool:
    """Whether one has an element that is none of the other's: then they are equal as nothing."""
    if wanted is None or given is None:
        return False
    return any(
        all(_clearly_unequal(one, other) for other in others)
        for those, others in ((wanted, given), (given, wanted))
        for one in those
    )


def _clearly_unequal(one: complex, other: complex) -> bool:
    """Whether two values differ by more than rounding, math-verify's and the doubles'."""
    if cmath.isinf(one) or cmath.isinf(other):
        return one != other
    return abs(one - other) > max(_ROUNDING, 1e-9 * max(abs(one), abs(other)))


def _settle_words(stated: Stated, target: str) -> Verdict | None:
    """Computer algebra takes a word for a product of its letters (`Monday` would equal `dynamo`): compare as text."""
    text = stated.text if stated.exact else _REST.split(stated.text, maxsplit=1)[0]
    same = _plain_words(text) == _plain_words(target)
    return Verdict(same, "same words" if same else "not the target's words")


def _plain_words(text: str) -> str:
    return " ".join(_plain_text(text).strip(" .!*\"'$").casefold().split())


def _plain_text(text: str) -> str:
    """Without LaTeX's words for text."""
    return re.sub(r"\\(?:text|mathrm|textbf|mbox)\s*\{([^{}]*)\}", r"\1", text).strip()


def _settle_numbers(wanted: tuple[Fraction, bool], given: tuple[Fraction, bool]) -> Verdict | None:
    if wanted[0] == given[0]:
        return Verdict(True, "equal numbers")
    decimals = wanted[1] or given[1]
    if abs(wanted[0] - given[0]) > (_ROUNDING if decimals else 0):
        return Verdict(False, "unequal numbers")
    return None


@lru_cache(maxsize=_MAX_PARSED)
def number(text: str) -> tuple[Fraction, bool] | None:
    """A plain number and whether it is written with decimals; None for anything else, `5%` and `1/0` included."""
    match = _NUMBER.fullmatch(text)
    if match is None or len(text) > _QUICK_DIGITS:
        return None
    whole, point, over, under, above, below = match.group("whole", "point", "over", "under", "above", "below")
    if whole is not None:
        value = Fraction(whole.replace(",", "") + (point or ""))
    else:
        top, bottom = int(over or above), int(under or below)
        if bottom == 0:
            return None
        value = Fraction(top, bottom)
    return (-value if match["sign"] else value), point is not None


@lru_cache(maxsize=_MAX_PARSED)
def _compare(target: str, stated: Stated) -> Verdict:
    gold = _parse(Stated(target, exact=True))
    if not any(not isinstance(each, str) for each in gold):
        if stated.text == target:
            return Verdict(True, "same text")
        return Verdict(None, "unparseable target: math-verify makes no expression of it")
    given = _parse(stated)
    if not given:
        return Verdict(False, "no answer found")
    failure = ""
    for wanted, found in product(gold, given):
        try:
            if _math_verify().verify(wanted, found, timeout_seconds=None, raise_on_error=True):
                return Verdict(True, "equal")
        except Exception as error:  # of math-verify or sympy: another pair may still settle it
            failure = type(error).__name__
    return Verdict(None, f"crash: math-verify raised {failure}") if failure else Verdict(False, "not equal")


@lru_cache(maxsize=_MAX_PARSED)
def _parse(stated: Stated) -> list[Any]:
    text = f"\\boxed{{{stated.text}}}" if stated.exact else f"{stated.text}"
    return _math_verify().parse(text, parsing_timeout=None)


@cache
def _math_verify() -> Any:
    """The library, loaded when first needed (0.6 s), its warnings about the absent time limit silenced."""
    import logging

    import math_verify

    logging.getLogger("math_verify").setLevel(logging.ERROR)
    return math_verify


def load() -> None:
    """Load the library now, with what it loads when first used: that is to count against no item's time limit."""
    _compare("x^2 + 2x + 1", Stated("\\frac{(x + 1)^3}{x + 1}", exact=True))
