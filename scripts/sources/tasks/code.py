"""Code: write a one-line Python function. Level 1 is a sum with a constant, 2 a builtin, 3 both."""

from __future__ import annotations

from random import Random
from typing import Any

from scripts.sources.tasks.base import Task

FUNCTIONS = (
    "apply", "build", "calc", "change", "check", "compute", "convert", "derive", "find", "form", "get", "give",
    "handle", "make", "modify", "obtain", "process", "produce", "run", "shift", "solve", "step", "turn", "update",
)  # fmt: skip
TEMPLATES = (
    "Write a Python function {f} that takes x and returns {what}.",
    "Define the function {f}(x) so that it gives {what}.",
    "I need Python code: {f} should map x to {what}.",
)
CONSTANT = (  # description, expression
    ("{x} plus {k}", "{x} + {k}"),
    ("{x} minus {k}", "{x} - {k}"),
    ("{x} times {k}", "{x} * {k}"),
)
NUMBERS, TEXTS = ([3, 1, 2], [5, 5, 9, 4], [7]), ("Abc", "hello", " xY ")
BUILTIN: tuple[tuple[str, str, tuple[Any, ...], bool], ...] = (  # description, expression, inputs, gives a number
    ("the largest item of x", "max(x)", NUMBERS, True),
    ("the smallest item of x", "min(x)", NUMBERS, True),
    ("the sum of the list x", "sum(x)", NUMBERS, True),
    ("the length of x", "len(x)", NUMBERS, True),
    ("the first item of x", "x[0]", NUMBERS, True),
    ("the last item of x", "x[-1]", NUMBERS, True),
    ("the absolute value of x", "abs(x)", (-4, 0, 6), True),
    ("the square of x", "x ** 2", (3, -2, 5), True),
    ("the list x sorted", "sorted(x)", NUMBERS, False),
    ("the list x reversed", "x[::-1]", NUMBERS, False),
    ("the text x in capitals", "x.upper()", TEXTS, False),
    ("the text x in small letters", "x.lower()", TEXTS, False),
    ("the text x without outer spaces", "x.strip()", TEXTS, False),
    ("whether x is even", "x % 2 == 0", (3, 4, 10), False),
)


def draw(rng: Random, level: int) -> Task:
    """A task of `level`: the response is a fenced block, the tests are asserts on three inputs."""
    what, expression, inputs = _subject(rng, level)
    name = rng.choice(FUNCTIONS)
    tests = [f"assert {name}({value!r}) == {_evaluate(expression, value)!r}" for value in inputs]
    wrong = next(text for text in _others(rng, level, expression) if not _agree(text, expression, inputs))
    return Task(
        domain="code",
        level=level,
        prompt=rng.choice(TEMPLATES).format(f=name, what=what),
        response=_block(name, expression),
        thought=f"{name} returns {what}: {expression}",
        wrong=_block(name, wrong),
        kind="code",
        spec={"tests": tests, "entry_point": name},
    )


def _subject(rng: Random, level: int) -> tuple[str, str, tuple[Any, ...]]:
    what, expression = rng.choice(CONSTANT)
    constant = rng.randint(2, 20)
    if level == 1:
        return what.format(x="x", k=constant), expression.format(x="x", k=constant), (0, 5, -3)
    if level == 2:
        return rng.choice(BUILTIN)[:3]
    inner = rng.choice([entry for entry in BUILTIN if entry[3]])
    return what.format(x=inner[0], k=constant), expression.format(x=inner[1], k=constant), inner[2]


def _others(rng: Random, level: int, expression: str) -> Any:
    """An endless stream of other expressions of the same level."""
    while True:
        other = _subject(rng, level)[1]
        if other != expression:
            yield other


def _evaluate(expression: str, value: Any) -> Any:
    """The value of one of this module's own expressions."""
    return eval(expression, {"x": value})


def _agree(one: str, other: str, inputs: tuple[Any, ...]) -> bool:
    try:
        return all(_evaluate(one, value) == _evaluate(other, value) for value in inputs)
    except (TypeError, AttributeError):
        return False


def _block(name: str, expression: str) -> str:
    return f"```python\ndef {name}(x):\n    return {expression}\n```"
