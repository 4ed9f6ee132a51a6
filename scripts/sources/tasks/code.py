"""Code: write a one-line Python function. Level 1 is a constant, level 2 a builtin, level 3 both."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

from scripts.sources.tasks.base import Task

FUNCTIONS = ("f", "g", "h", "add", "calc", "find", "get", "make", "run", "solve")
TEMPLATES = (
    "Write a function {f}(x) that returns {what}.",
    "Python code for {f}(x): {what}.",
    "Define {f}(x) as {what}.",
    "I need {f}(x) to give {what}.",
)
CONSTANT = (("plus", "+"), ("minus", "-"), ("times", "*"))
NUMBERS, TEXTS = ([3, 1, 2], [5, 5, 9, 4], [7]), ("Abc", "hello", "xYz")
BUILTIN: tuple[tuple[str, str, tuple[Any, ...], bool], ...] = (  # description, expression, inputs, gives a number
    ("the largest item of x", "max(x)", NUMBERS, True),
    ("the smallest item of x", "min(x)", NUMBERS, True),
    ("the sum of x", "sum(x)", NUMBERS, True),
    ("the length of x", "len(x)", NUMBERS, True),
    ("the first item of x", "x[0]", NUMBERS, True),
    ("the last item of x", "x[-1]", NUMBERS, True),
    ("the absolute value of x", "abs(x)", (-4, 0, 6), True),
    ("the square of x", "x ** 2", (3, -2, 5), True),
    ("x sorted", "sorted(x)", NUMBERS, False),
    ("x reversed", "x[::-1]", NUMBERS, False),
    ("x in capitals", "x.upper()", TEXTS, False),
    ("x in small letters", "x.lower()", TEXTS, False),
)


def draw(rng: Random, level: int) -> Task:
    """A task of `level`: the response is a fenced block, the tests are asserts on three inputs."""
    what, expression, inputs = _subject(rng, level)
    name = rng.choice(FUNCTIONS)
    tests = [f"assert {name}({value!r}) == {_evaluate(expression, value)!r}" for value in inputs]
    wrong = next(text for text in _others(rng, level) if not _agree(text, expression, inputs))
    return Task(
        domain="code",
        level=level,
        prompt=rng.choice(TEMPLATES).format(f=name, what=what),
        response=_block(name, expression),
        thought=f"{what}: {expression}",
        wrong=_block(name, wrong),
        kind="code",
        spec={"tests": tests, "entry_point": name},
    )


def _subject(rng: Random, level: int) -> tuple[str, str, tuple[Any, ...]]:
    word, sign = rng.choice(CONSTANT)
    constant = rng.randint(2, 9)
    if level == 1:
        return f"x {word} {constant}", f"x {sign} {constant}", (0, 5, -3)
    if level == 2:
        return rng.choice(BUILTIN)[:3]
    inner = rng.choice([entry for entry in BUILTIN if entry[3]])
    return f"{inner[0]} {word} {constant}", f"{inner[1]} {sign} {constant}", inner[2]


def _others(rng: Random, level: int) -> Iterator[str]:
    """An endless stream of expressions of the same level."""
    while True:
        yield _subject(rng, level)[1]


def _evaluate(expression: str, value: Any) -> Any:
    """The value of an expression of this module."""
    return eval(expression, {"x": value})


def _agree(one: str, other: str, inputs: tuple[Any, ...]) -> bool:
    try:
        return all(_evaluate(one, value) == _evaluate(other, value) for value in inputs)
    except (TypeError, AttributeError):
        return False


def _block(name: str, expression: str) -> str:
    return f"```python\ndef {name}(x):\n    return {expression}\n```"
