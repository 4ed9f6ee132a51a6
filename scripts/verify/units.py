"""Which letters at the end of an answer are variables: math-verify drops `c`, `d`, `h`, `m`, `s`, ... as units.

A letter at the end is a variable if it is a side of a relation or a term of a sum, if other variables are beside it,
or if the other answer has it as a variable; `c`, `d`, `o` and `t` name no unit by themselves: always variables.
"""

from __future__ import annotations

import re

_LAST_LETTERS = re.compile(r"(?<![A-Za-z\\])([a-z]{1,2})\s*$")
_DROPPED = re.compile(r"[cdghlmost]s?|ab|bc")
"""What math-verify drops, of one or two letters; those that are units, as `cm`, are left out."""
_SPACED_PAIR = re.compile(r"(?<![A-Za-z\\])[a-hqs]\s$")
"""math-verify drops such a letter with the one that follows it."""
_DIFFERENTIAL = re.compile(r"(?<![A-Za-z\\])d(?=\s*\\(?:le|ge|leq|geq|lt|gt|ne|neq|cdot|times|in|pm)(?![A-Za-z]))")
_IMAGINARY = re.compile(r"(?<=\d)i(?![A-Za-z])")
_UNITS = re.compile(r"[ghlms]")
_NO_VARIABLES = re.compile(r"\\(?:text|mathrm|mbox|operatorname)\s*\{[^{}]*\}|\\[A-Za-z]+")
_VARIABLE = re.compile(r"[A-Za-z]")
_RELATION = re.compile(r"[<>=]|\\(?:le|ge|leq|geq|lt|gt|ne|neq|leqslant|geqslant|approx)(?![A-Za-z])")
_TERM_FOLLOWS = re.compile(
    r"(?:[<>=(/+*]|\\(?:le|ge|leq|geq|lt|gt|ne|neq|cdot|times|leqslant|geqslant|div)(?![A-Za-z]))\s*$"
    r"|[\dA-Za-z)}]\s*[-+][^-+]*$"
)


def keep_variables(text: str, other: str) -> str:
    """`text` with its variables in braces, if math-verify would take them for units or differentials."""
    text = separate_imaginary(_DIFFERENTIAL.sub("{d}", text))
    match = _LAST_LETTERS.search(text)
    if match is None:
        return text
    before, letters = text[: match.start()], match[1]
    if _SPACED_PAIR.search(before) or (_DROPPED.fullmatch(letters) and _is_variable(before, letters, other)):
        return f"{before}{{{letters}}}"
    return text


def separate_imaginary(text: str) -> str:
    """`2 i` for `2i`: math-verify takes an `i` for the imaginary unit only if it is a word of its own."""
    return _IMAGINARY.sub(" i", text)


def _is_variable(before: str, letters: str, other: str) -> bool:
    if not _UNITS.fullmatch(letters) or _TERM_FOLLOWS.search(before):
        return True
    beside = _RELATION.split(before)[-1]
    return bool(_VARIABLE.search(_NO_VARIABLES.sub(" ", beside))) or letters in _inner_variables(other)


def _inner_variables(text: str) -> set[str]:
    """The variables of a text, without a letter at its end that may be a unit."""
    end = _LAST_LETTERS.search(text)
    inner = text if end is None or _TERM_FOLLOWS.search(text, 0, end.start()) else text[: end.start()]
    return set(_VARIABLE.findall(_NO_VARIABLES.sub(" ", inner)))
