"""Math: the response's final answer against the target, by math-verify.

`final_answer.py` finds the answer, `spelling.py` gives it and the target one spelling; then, in this order:

| rule | verdict | reason |
|---|---|---|
| the response states nothing | false | `no answer found` |
| the target is the letter of an option: the letter stated | true / false | `stated B`, `no answer found`, `ambiguous` |
| the target is a word or a phrase: compared as text | true / false | `same words`, `not the target's words` |
| both are the same text | true | `same text` |
| both are times of day | true / false | `equal times`, `unequal times` |
| one has a base: digits and base, or the value | true / false | `equal numerals`, `unequal numerals` |
| both are lists with an ellipsis: element by element | true / false | `equal lists`, `unequal lists` |
| both are plain numbers | true / false | `equal numbers`, `unequal numbers` |
| several alternatives for a target that is one number | false | `ambiguous` |
| one has a value that the other cannot have | false | `unequal values` |
| math-verify makes no expression of the target | null | `unparseable target` |
| math-verify calls them equal, and they are of one size | true | `equal` |
| else | false | `not equal` |

A percentage is tried as its number and as a hundredth of it. All before the last three rows (and texts longer than 200
characters) is `quick`: microseconds, no library. math-verify is asked about the answer alone, since its cost is linear
in the text that it reads; parsed targets and verdicts are kept, so many samples of one problem cost one.
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
from typing import Any, TypeVar

from scripts.verify import choice
from scripts.verify.answer import AnswerError, Verdict
from scripts.verify.final_answer import Stated, boxed, find_answer
from scripts.verify.latex_value import latex_values
from scripts.verify.notations import clock_time, elided_list, numeral, percentage, same_elements
from scripts.verify.settings import VerifySettings
from scripts.verify.spelling import scientific, spell
from scripts.verify.units import keep_variables, separate_imaginary

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
_OR = re.compile(r"[\s,(]*(?:\\text\s*\{\s*or\s*\}|\bor\b)\s*")
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
_RELATIVE = 1e-4  # below 0.01 six places say too little: values must agree in four digits too
_EXACT = 1e-12  # of two values without decimals the first digits agree, or they are unequal
_NOISE = 1e-90  # what sympy leaves of a sum that is zero
_MAX_PARSED = 100_000  # entries kept: some hundred bytes each
_V = TypeVar("_V", Verdict, Verdict | None)
_CONSTANT_E = re.compile(r"(?<![A-Za-z\\])e(?![A-Za-z])")


def quick(response: str, spec: Mapping[str, Any], settings: VerifySettings) -> Verdict | None:
    """The verdict if text and plain numbers settle it; None if computer algebra must be asked."""
    target = _target(spec)
    stated = _answer(response, target, settings)
    return Verdict(False, "no answer found") if stated is None else _settle(*_one_notation(target, stated))


def verify(response: str, spec: Mapping[str, Any], settings: VerifySettings) -> Verdict:
    """The verdict. Takes as long as it takes: the caller's process carries the time limit."""
    target = _target(spec)
    stated = _answer(response, target, settings)
    if stated is None:
        return Verdict(False, "no answer found")
    return _verdict(*_one_notation(target, stated))


def _verdict(target: str, stated: Stated) -> Verdict:
    settled = _settle(target, stated)
    if settled is not None:
        return settled
    wanted, given = elided_list(target), elided_list(stated.text)
    if wanted is not None and given is not None:
        pairs = same_elements(wanted, given) or []
        return _of_elements([_verdict(one, Stated(other, exact=True)) for one, other in pairs])
    return _any_reading([_compare(*reading) for reading in _readings(target, stated)])


def _answer(response: str, target: str, settings: VerifySettings) -> Stated | None:
    """The answer that the response states (the value alone if an option's letter is before it); None for no answer."""
    stated = find_answer(response, settings)
    if stated is None or not stated.text:
        return None
    label = _LABEL.match(stated.text)
    if label is None or _LABEL.match(target) or _LETTER.fullmatch(_plain_text(target)):
        return stated
    return Stated(spell(stated.text[label.end() :]), stated.exact)


def _one_notation(target: str, stated: Stated) -> tuple[str, Stated]:
    """`5e-4` is a number, unless the other side has the constant e."""
    text = stated.text
    if stated.exact and not _CONSTANT_E.search(target):
        stated = Stated(scientific(text, doubtful=True), exact=True)
    return (target if _CONSTANT_E.search(text) else scientific(target, doubtful=True)), stated


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
        raise AnswerError(f"math target {target} is not a number")
    return format(Decimal(str(target)), "f")


@lru_cache(maxsize=_MAX_PARSED)
def _clean_target(target: str) -> str:
    """A target as its data set writes it (`#### 18`, `$18$`, `\\boxed{18}`) to the answer alone."""
    content = boxed(target)
    return content.text if content is not None else spell(target.rpartition("####")[2])


def _settle(target: str, stated: Stated) -> Verdict | None:
    """The verdict by the rules that need no computer algebra; None if none of them decides."""
    letter = _LETTER.fullmatch(_plain_text(target))
    if letter is not None:
        return choice.of_letters(choice.stated_options(_plain_text(stated.text)), letter[1])
    if len(stated.text) > _QUICK_CHARS or len(target) > _QUICK_CHARS:
        return None
    if _WORDS.fullmatch(_plain_words(target)) or _SHORT_WORD.fullmatch(target):
        return _settle_words(stated, target)
    if _plain_text(stated.text) == _plain_text(target) and re.search(
        r"[0-9A-Za-z]", re.sub(r"\\[A-Za-z]+", "", target)
    ):
        return Verdict(True, "same text")
    settled = _settle_notation(target, stated.text) if stated.exact else None
    if settled is not None:
        return settled
    return _any_reading([_settle_values(*reading) for reading in _readings(target, stated)])


def _settle_notation(target: str, text: str) -> Verdict | None:
    """The verdict on times of day and on numerals with a base; on elided lists that cannot be the same."""
    times = clock_time(target), clock_time(text)
    if times[0] is not None and times[1] is not None:
        same = times[0].equals(times[1])
        return Verdict(same, "equal times" if same else "unequal times")
    numerals = numeral(target), numeral(text)
    if numerals != (None, None):
        same = _same_numeral(target, text)
        return Verdict(same, "equal numerals" if same else "unequal numerals")
    wanted, given = elided_list(target), elided_list(text)
    if wanted is None and given is None:
        return None
    if wanted is None or given is None or same_elements(wanted, given) is None:
        return Verdict(False, "unequal lists")
    return None


def _same_numeral(target: str, text: str) -> bool:
    """Whether one value or one spelling is stated: a task that asks for a base may leave it out of its answer.

    Of a target with a base the decimal value is not an answer: 5 does not answer what 5 is in base two.
    """
    wanted, given = numeral(target), numeral(text)
    if wanted is not None and given is not None:
        return wanted == given or (wanted.value is not None and wanted.value == given.value)
    if wanted is not None:
        return text == wanted.digits
    assert given is not None
    return target == given.digits or target == str(given.value)


def _readings(target: str, stated: Stated) -> list[tuple[str, Stated]]:
    """What is to be compared, as alternatives: a percentage is its number, or a hundredth of it."""
    wanted, given = percentage(target), percentage(stated.text) if stated.exact else None
    if wanted is not None and given is not None:
        return [(wanted, Stated(given, exact=True))]
    if wanted is not None:
        return [(wanted, stated), (_hundredth(wanted), stated)]
    if given is not None:
        return [(target, Stated(given, exact=True)), (target, Stated(_hundredth(given), exact=True))]
    return [(target, stated)]


def _hundredth(text: str) -> str:
    value = number(text)
    if value is None:
        return f"\\frac{{{text}}}{{100}}"
    share = value[0] / 100
    return f"{'-' if share < 0 else ''}\\frac{{{abs(share.numerator)}}}{{{share.denominator}}}"


def _any_reading(verdicts: list[_V]) -> _V:
    """The first that is true; else the first that is open, or null; else the first, false."""
    return next((each for each in verdicts if each and each.correct), None) or next(
        (each for each in verdicts if each is None or each.correct is None), verdicts[0]
    )


def _of_elements(verdicts: list[Verdict]) -> Verdict:
    """The verdict on a list: null if an element's is, and none is false."""
    if all(each.correct for each in verdicts):
        return Verdict(True, "equal lists")
    if any(each.correct is False for each in verdicts):
        return Verdict(False, "unequal lists")
    return next(each for each in verdicts if each.correct is None)


def _settle_values(target: str, stated: Stated) -> Verdict | None:
    wanted, given = number(target), number(stated.text)
    if wanted is not None and given is not None:
        return _settle_numbers(wanted, given)
    if wanted is not None and stated.exact and _ALTERNATIVES.search(stated.text):
        return _settle_alternatives(target, stated.text)
    if stated.exact and (_unlike(target, stated.text) or _unlike(stated.text, target)):
        return Verdict(False, "unequal values")
    return None


def _unlike(one: str, other: str) -> bool:
    """Whether `one` has values that `other` can not have, whatever computer algebra makes of them."""
    values = latex_values(one)
    if values is None:
        return False
    if len(values) == 1 and ("\\cup" in other or _TEXT.fullmatch(other)):
        return True  # a number is neither a union of intervals nor a word
    left, equals, right = other.partition("=")
    if equals and "=" not in one and not re.search(r"[=<>]|\\[gln]eq?|\\approx", left[-1:] + right):
        other = right  # math-verify compares a number with an equation's right side
    return _apart(values, latex_values(other.strip()))


def _apart(wanted: tuple[complex, ...] | None, given: tuple[complex, ...] | None) -> bool:
    """Whether one has an element that the other lacks: then no reading (tuple, set, interval) makes them equal."""
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


def _settle_alternatives(target: str, text: str) -> Verdict:
    """`3/4 (or 0.75)` is one value in two notations; anything else that states several answers states none."""
    parts = [Stated(spell(part), exact=True) for part in _OR.split(text.rstrip(")"))]
    if len(parts) > 1 and not any(_ALTERNATIVES.search(part.text) for part in parts):
        values = [_any_reading([_settle_values(*each) for each in _readings(target, part)]) for part in parts]
        if all(value is not None and value.correct for value in values):
            return Verdict(True, "equal numbers")
    return Verdict(False, "ambiguous: several answers stated")


def _settle_numbers(wanted: tuple[Fraction, bool], given: tuple[Fraction, bool]) -> Verdict | None:
    one, other, decimals = wanted[0], given[0], wanted[1] or given[1]
    if one == other:
        return Verdict(True, "equal numbers")
    if not decimals or abs(one - other) > min(_ROUNDING, _RELATIVE * max(abs(one), abs(other))):
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
    gold = _parse(Stated(keep_variables(target, stated.text), exact=True))
    if not any(not isinstance(each, str) for each in gold):
        if stated.text == target:
            return Verdict(True, "same text")
        return Verdict(None, "unparseable target: math-verify makes no expression of it")
    prose = Stated(separate_imaginary(stated.text), exact=False)
    given = _parse(Stated(keep_variables(stated.text, target), exact=True) if stated.exact else prose)
    if not given:
        return Verdict(False, "no answer found")
    failure = ""
    for one, other in product(gold, given):
        try:
            if _math_verify().verify(one, other, timeout_seconds=None, raise_on_error=True) and _of_one_size(
                one, other
            ):
                return Verdict(True, "equal")
        except Exception as error:  # of math-verify or sympy: another pair may still settle it
            failure = type(error).__name__
    return Verdict(None, f"crash: math-verify raised {failure}") if failure else Verdict(False, "not equal")


def _of_one_size(one: Any, other: Any) -> bool:
    """Whether what math-verify calls equal is so in proportion: rounded to six places all small numbers are equal.

    Numbers, and the numbers of sets, tuples and intervals, each of which needs an equal number on the other side.
    """
    if isinstance(one, str) or isinstance(other, str) or one == other:
        return True
    from sympy.core.relational import Relational

    relations = [side for side in (one, other) if isinstance(side, Relational)]
    if len(relations) == 2 and one.lhs != other.lhs:
        return True
    ones, others = _numeric_parts(one), _numeric_parts(other)
    if not ones or len(ones) != len(others):
        return True
    return all(
        any(_in_proportion(each, partner) for partner in partners)
        for parts, partners in ((ones, others), (others, ones))
        for each in parts
    )


def _numeric_parts(value: Any) -> list[Any]:
    """The number that an expression is, or those that it consists of; an empty list if a part is not a number."""
    import sympy

    if isinstance(value, sympy.Eq):
        value = value.rhs
    if isinstance(value, sympy.Interval):
        parts = [value.start, value.end]
    else:
        parts = list(value.args) if isinstance(value, sympy.FiniteSet | sympy.Tuple) else [value]
    if not all(getattr(part, "is_number", False) and getattr(part, "is_finite", False) for part in parts):
        return []
    return [part.doit() for part in parts]


def _in_proportion(one: Any, other: Any) -> bool:
    import sympy

    if one.is_Rational and other.is_Rational:
        return bool(one == other)
    decimals = one.has(sympy.Float) or other.has(sympy.Float)
    one, other = one.evalf(30), other.evalf(30)
    largest = max(abs(one), abs(other))
    return bool(abs(one - other) <= (_RELATIVE if decimals else _EXACT) * largest or largest < _NOISE)


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
