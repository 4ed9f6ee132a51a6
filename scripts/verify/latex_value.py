"""Values of LaTeX expressions such as `\\frac{3 + 2\\sqrt{5}}{4}x` or `(2, \\infty)`, without computer algebra.

They only tell answers apart. Each variable has one fixed value: expressions whose values differ are not equal, but
equal values do not prove equal expressions. Text that can be read in two ways (`2^10`, function calls, letters that
are units) has no value here.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache

_PRIMES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41)
_TOKEN = re.compile(
    r"(?:\s|\\[,;! ])+|(?P<number>(?:\d+(?:\.\d+)?|\.\d+)(?![\d.]))"
    r"|(?P<word>\\[dt]?frac|\\sqrt|\\pi|\\cdot|\\times|\\infty)(?![A-Za-z])|(?P<letter>[a-z])"
    r"|(?:\\left|\\right)?\s*(?P<bracket>[()\[\]]|\\[{}])|(?P<sign>[+\-/^{},])"
)
_VARIABLES = {name: 1.1 + math.sqrt(prime) % 1 for name, prime in zip("abknpqruvwxyz", _PRIMES, strict=True)}
_CONSTANTS = {"\\pi": math.pi, "e": math.e, "i": 1j}
_UNIT = re.compile(
    r"(?:\s*\\(?:text|mbox|mathrm)\s*\{\s*(?!pi\b|and\b|or\b)[A-Za-z]{2,}[A-Za-z .]*\}|\^\{?\\circ\}?)\s*$"
)
"""A unit after a number: whether it is dropped or taken for a factor, different numbers stay different."""
_MATRIX = re.compile(r"\s*\\begin\{([pbvBV]?matrix)\}(.*)\\end\{\1\}\s*", re.DOTALL)
_THOUSANDS = re.compile(r"\d,\d{3}(?!\d)")
_LARGEST = 1e12  # above it doubles carry too few places after the point
_MAX_CHARS = 200


class _NoValue(Exception):
    pass


@lru_cache(maxsize=100_000)
def latex_values(text: str) -> tuple[complex, ...] | None:
    """Values of a number, or the elements of a tuple, set, interval or matrix, to about 12 places; None: not readable.

    Which of the bracketed things it is does not matter here: equal ones have equal elements.
    """
    if len(text) > _MAX_CHARS or _THOUSANDS.search(text):
        return None
    matrix = _MATRIX.fullmatch(text)
    if matrix:
        text = re.sub(r"&|\\\\", ",", matrix[2])
    try:
        parts = _parts(_tokens(_UNIT.sub("", text)))
        return tuple(_value(part) for part in parts)
    except (_NoValue, ArithmeticError, ValueError, RecursionError):
        return None


def _parts(tokens: list[str]) -> list[list[str]]:
    """The tokens between top-level commas, without the brackets around all of them."""
    if "," in tokens and tokens[0] in ("(", "[", "\\{") and tokens[-1] in (")", "]", "\\}"):
        tokens = tokens[1:-1]
    parts: list[list[str]] = [[]]
    for token in tokens:
        if token == ",":
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def _value(tokens: list[str]) -> complex:
    if tokens in (["\\infty"], ["+", "\\infty"], ["-", "\\infty"]):
        return -math.inf if tokens[0] == "-" else math.inf
    reader = _Reader(tokens)
    value = reader.sum()
    if reader.peek() or not abs(value) < _LARGEST:
        raise _NoValue
    return value


def _tokens(text: str) -> list[str]:
    tokens, position = [], 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise _NoValue
        token = next((each for each in match.groups() if each), "")
        if token:
            tokens.append(token.replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac"))
        position = match.end()
    return tokens


class _Reader:
    """Recursive descent over the tokens: sum, product, power, atom."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._position = 0

    def peek(self) -> str:
        return self._tokens[self._position] if self._position < len(self._tokens) else ""

    def _take(self, expected: str = "") -> str:
        token = self.peek()
        if not token or (expected and token != expected):
            raise _NoValue
        self._position += 1
        return token

    def sum(self) -> complex:
        negative = self.peek() == "-"
        if negative:
            self._take()
        value = -self._product() if negative else self._product()
        while self.peek() in ("+", "-"):
            value = value + self._product() if self._take() == "+" else value - self._product()
        return value

    def _product(self) -> complex:
        before = self.peek()
        value = self._power()
        if before.isdigit() and self._tokens[self._position - 1] == before and self.peek() == "\\frac":
            return value + self._mixed()
        while (token := self.peek()) and token not in "+-)}]":
            if token == "/":
                return self._divided(value)
            if token in ("\\cdot", "\\times"):
                self._take()
            elif token[0].isdigit() or token[0] == ".":
                raise _NoValue  # `2 3`
            if token == "(" and before in (*_VARIABLES, *_CONSTANTS):
                raise _NoValue  # `f(x)`
            before = self.peek()
            value *= self._power()
        return value

    def _divided(self, value: complex) -> complex:
        """The quotient, with nothing after it that might belong to the denominator."""
        self._take("/")
        value /= self._power()
        if self.peek() not in ("", "+", "-", ")", "}"):
            raise _NoValue
        return value

    def _mixed(self) -> float:
        """The fraction of a mixed number, digits alone, with nothing after it."""
        value = self._fraction(digits=True)
        if self.peek() not in ("", "+", "-"):
            raise _NoValue
        return value.real

    def _fraction(self, digits: bool = False) -> complex:
        self._take("\\frac")
        start = self._position
        above, below = self._group(), self._group()
        if digits and not all(token.isdigit() or token in "{}" for token in self._tokens[start : self._position]):
            raise _NoValue
        return above / below

    def _power(self) -> complex:
        value = self._atom()
        if self.peek() != "^":
            return value
        self._take()
        power = self._group()
        if self.peek() == "^" or abs(power) > 100:
            raise _NoValue
        if power != int(power.real) and (value.imag or power.imag or value.real < 0):
            raise _NoValue  # of several roots one would have to be chosen
        return value**power

    def _group(self) -> complex:
        """`{...}`, or a single digit, which may be the first of several (`\\frac97`)."""
        if self.peek() == "{":
            self._take()
            value = self.sum()
            self._take("}")
            return value
        token = self.peek()
        if not token.isdigit():
            raise _NoValue
        self._tokens[self._position : self._position + 1] = [token[0], *filter(None, [token[1:]])]
        return float(self._take())

    def _atom(self) -> complex:
        if self.peek() == "\\frac":
            return self._fraction()
        token = self._take()
        if token[0].isdigit() or token[0] == ".":
            return float(token)
        if token in _CONSTANTS:
            return _CONSTANTS[token]
        if token in _VARIABLES:
            return _VARIABLES[token]
        if token == "(":
            value = self.sum()
            self._take(")")
            return value
        if token == "\\sqrt":
            return self._root()
        raise _NoValue

    def _root(self) -> complex:
        degree = 2.0
        if self.peek() == "[":
            self._take()
            degree = float(self._take())
            self._take("]")
        value = self._group()
        if value.imag or value.real < 0 or degree < 1:
            raise _NoValue
        return value.real ** (1 / degree)
