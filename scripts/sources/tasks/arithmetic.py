"""Math: short sums. Level 1 has numbers up to five, level 2 up to nine, level 3 two steps."""

from __future__ import annotations

from random import Random

from scripts.sources.tasks.base import Task
from scripts.sources.tasks.words import NAMES, THINGS

ONE_STEP = {
    "+": (
        "What is {a} + {b}?",
        "Add {a} and {b}.",
        "{name} has {a} {things} and gets {b} more. How many?",
    ),
    "-": (
        "What is {a} - {b}?",
        "Subtract {b} from {a}.",
        "{name} has {a} {things} and loses {b}. How many?",
    ),
}
TWO_STEPS = (
    "What is {a} + {b} - {c}?",
    "{name} has {a} {things}, gets {b} more and loses {c}. How many?",
)


def draw(rng: Random, level: int) -> Task:
    """A task of `level` with its working; the response restates the sum and boxes the result."""
    template, numbers, written, lines = _two_steps(rng) if level == 3 else _one_step(rng, level)
    result = int(lines[-1].split()[-1])
    return Task(
        domain="math",
        level=level,
        prompt=template.format(name=rng.choice(NAMES), things=rng.choice(THINGS), **numbers),
        response=_boxed(written, result),
        thought="\n".join(lines),
        wrong=_boxed(written, _slip(rng, result)),
        kind="math",
        spec={"target": str(result)},
    )


def _one_step(rng: Random, level: int) -> tuple[str, dict[str, int], str, list[str]]:
    largest = 5 if level == 1 else 9
    a, b = rng.randint(1, largest), rng.randint(1, largest)
    sign = rng.choice("+-")
    if sign == "-":
        a, b = max(a, b), min(a, b)
    result = a + b if sign == "+" else a - b
    return rng.choice(ONE_STEP[sign]), {"a": a, "b": b}, f"{a} {sign} {b}", [f"{a} {sign} {b} = {result}"]


def _two_steps(rng: Random) -> tuple[str, dict[str, int], str, list[str]]:
    a, b = rng.randint(1, 5), rng.randint(1, 5)
    c = rng.randint(1, min(5, a + b))
    lines = [f"{a} + {b} = {a + b}", f"{a + b} - {c} = {a + b - c}"]
    return rng.choice(TWO_STEPS), {"a": a, "b": b, "c": c}, f"{a} + {b} - {c}", lines


def _boxed(written: str, result: int) -> str:
    return f"{written} = \\boxed{{{result}}}"


def _slip(rng: Random, result: int) -> int:
    """A near miss, never negative."""
    return result + rng.choice([step for step in (-2, -1, 1, 2) if result + step >= 0])
