"""Notations for which math-verify has no meaning: times of day, numerals with a base, percentages, elided lists.

To math-verify `7:30` is a quotient, `101_2` is 101, `12\\frac{1}{2}\\%` is half a percent and `1, 2, \\ldots, n` is n.
Each function reads one notation; None means that the text is not written in it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_TEXT = r"\\(?:text|mathrm|mbox|textbf)\{"
_CLOCK = re.compile(
    rf"(?:{_TEXT}\s*)?(?P<hour>\d{{1,2}})(?::(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d))?)?\}}?"
    rf"(?:\s|\\[ ,;])*(?:{_TEXT}[\s~]*)?(?:(?P<half>[aApP])\.?\s?[mM]\.?|(?P<named>noon|midnight))?\s*\}}?"
)
_HALF_DAY = 12 * 3600
_NUMERAL = re.compile(
    rf"(?:\(|\\left\(|{_TEXT})?\s*(?P<digits>[0-9A-F]+)\s*(?:\)|\\right\)|\}})?\s*"
    rf"(?:_\{{?\(?(?P<base>\d{{1,2}})\)?\}}?|_\{{\s*(?:{_TEXT})?\s*(?P<word>[a-z]+)\s*\}}?\}}"
    rf"|(?:\s|\\ |{_TEXT}|\()*\bbase[\s}}-]*(?P<named>\d{{1,2}}|[a-z]+)[\s}})]*)"
)
_BASES = {
    "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16,
}  # fmt: skip
_SEVERAL = re.compile(r",\s|;|\b(?:or|and)\b")
_ELLIPSIS = re.compile(r"\\(?:ldots|cdots|dots|dotsc)(?![A-Za-z])|\.\.\.+")


@dataclass(frozen=True)
class ClockTime:
    """A time as it is written, in seconds, and the seconds since midnight that it may mean.

    `6:30` may be in the morning or in the evening; `18:30` and `6:30 p.m.` say which.
    """

    written: int
    meanings: frozenset[int]

    def equals(self, other: ClockTime) -> bool:
        """Whether both can be the same time. Two times that leave the half of the day open must be written alike."""
        if len(self.meanings) == len(other.meanings) == 2:
            return self.written == other.written
        return bool(self.meanings & other.meanings)


@dataclass(frozen=True)
class Numeral:
    """Digits with the base they are written in."""

    digits: str
    base: int

    @property
    def value(self) -> int | None:
        """None if a digit is not one of the base."""
        try:
            return int(self.digits, self.base)
        except ValueError:
            return None


@dataclass(frozen=True)
class ElidedList:
    """The elements that a list names before and after its ellipsis."""

    first: tuple[str, ...]
    last: tuple[str, ...]


def clock_time(text: str) -> ClockTime | None:
    """`7:30`, `7:30 \\text{ p.m.}`, `19:30:00`, `7 pm`, `12 noon`; minutes have two digits."""
    match = _CLOCK.fullmatch(text)
    if match is None or int(match["hour"]) > 24 or not (match["minute"] or match["half"] or match["named"]):
        return None
    half = {"noon": "p", "midnight": "a"}.get(match["named"], (match["half"] or "").lower())
    written = int(match["hour"]) * 3600 + int(match["minute"] or 0) * 60 + int(match["second"] or 0)
    if not 1 <= int(match["hour"]) <= 12:
        return ClockTime(written, frozenset([written % (2 * _HALF_DAY)]))
    meanings = {"a": written % _HALF_DAY, "p": written % _HALF_DAY + _HALF_DAY}
    return ClockTime(written, frozenset([meanings[half]] if half else meanings.values()))


def numeral(text: str) -> Numeral | None:
    """`101_2`, `101_{\\text{two}}`, `(101)_{2}`, `101 \\text{ base } 2`; of letters alone it is an indexed name."""
    match = _NUMERAL.fullmatch(text)
    if match is None or not re.search(r"\d", match["digits"]):
        return None
    named = match["base"] or match["word"] or match["named"]
    base = int(named) if named.isdecimal() else _BASES.get(named, 0)
    return Numeral(match["digits"], base) if 2 <= base <= 36 else None


def percentage(text: str) -> str | None:
    """The number of a percentage, as `spell` writes it (`12.5\\%`); None for a list."""
    return text[:-2].rstrip() if text.endswith("\\%") and not _SEVERAL.search(text) else None


def elided_list(text: str) -> ElidedList | None:
    """`1, 3, 5, \\ldots, 2n-1`: elements separated by commas, one ellipsis among them, with or without brackets."""
    parts = [part.strip() for part in _at_commas(_without_brackets(text))]
    elided = [index for index, part in enumerate(parts) if _ELLIPSIS.fullmatch(part)]
    if len(elided) != 1 or not all(parts) or len(parts) < 3:
        return None
    return ElidedList(tuple(parts[: elided[0]]), tuple(parts[elided[0] + 1 :]))


def same_elements(one: ElidedList, other: ElidedList) -> list[tuple[str, str]] | None:
    """The pairs of elements that must be equal for both lists to be the same; None if they cannot be.

    Each may name more of the beginning than the other, but at least two elements, or all that the other names.
    """
    shown = min(len(one.first), len(other.first))
    if len(one.last) != len(other.last) or (shown < 2 and len(one.first) != len(other.first)):
        return None
    return [*zip(one.first[:shown], other.first[:shown], strict=True), *zip(one.last, other.last, strict=True)]


def _without_brackets(text: str) -> str:
    match = re.fullmatch(r"(?:\\left)?(?:\(|\[|\\\{)(.*?)(?:\\right)?(?:\)|\]|\\\})", text.strip(), re.DOTALL)
    return match[1] if match and _balanced(match[1]) else text


def _balanced(text: str) -> bool:
    depth = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if depth < 0:
            return False
    return depth == 0


def _at_commas(text: str) -> list[str]:
    """The parts between the commas that no bracket encloses."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if character in ",;" and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts
