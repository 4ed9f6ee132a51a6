"""Math: short sums told as a story. Level 1 has one digit, level 2 two digits, level 3 two steps."""

from __future__ import annotations

from random import Random

from scripts.sources.tasks.base import Task
from scripts.sources.tasks.words import NAMES, PLACES, THINGS

ADD = (
    "{name} has {a} {things} and buys {b} more. How many {things} does {name} have?",
    "There are {a} {things} in the {place} and {b} in the {other}. How many {things} are there?",
    "In the {place} a box has {a} {things}. {name} adds {b}. How many {things} are in the box?",
    "{name} counts {a} {things} at the {place} and then {b} more. What is the total?",
)
SUBTRACT = (
    "{name} has {a} {things} and gives {b} to {friend}. How many {things} are left?",
    "There were {a} {things} in the {place}. {name} took {b}. How many {things} are left?",
    "In the {place} a box has {a} {things}. {name} removes {b}. How many {things} are in the box?",
)
ADD_SUBTRACT = (
    "{name} has {a} {things}, buys {b} more and gives {c} to {friend}. How many {things} are left?",
    "There were {a} {things} in the {place}. {name} took {c} and {friend} added {b}. How many {things} are there?",
)
FORMS = ("{sum} = \\boxed{{{result}}}", "{sum} = {result}\nAnswer: {result}")


def draw(rng: Random, level: int) -> Task:
    """A task of `level` with its working, verified by the number alone."""
    template, numbers, written, lines = _two_steps(rng) if level == 3 else _one_step(rng, level)
    place, other = rng.sample(PLACES, 2)
    name, friend = rng.sample(NAMES, 2)
    prompt = template.format(name=name, friend=friend, place=place, other=other, things=rng.choice(THINGS), **numbers)
    result = int(lines[-1].split()[-1])
    form = rng.choice(FORMS)
    return Task(
        domain="math",
        level=level,
        prompt=prompt,
        response=form.format(sum=written, result=result),
        thought="\n".join(lines),
        wrong=form.format(sum=written, result=_slip(rng, result)),
        kind="math",
        spec={"target": str(result)},
    )


def _one_step(rng: Random, level: int) -> tuple[str, dict[str, int], str, list[str]]:
    a = rng.randint(2, 9) if level == 1 else rng.randint(11, 89)
    b = rng.randint(2, 9)
    if rng.random() < 0.5:
        return rng.choice(ADD), {"a": a, "b": b}, f"{a} + {b}", [f"{a} + {b} = {a + b}"]
    a, b = max(a, b), min(a, b)
    return rng.choice(SUBTRACT), {"a": a, "b": b}, f"{a} - {b}", [f"{a} - {b} = {a - b}"]


def _two_steps(rng: Random) -> tuple[str, dict[str, int], str, list[str]]:
    a, b = rng.randint(2, 9), rng.randint(2, 9)
    c = rng.randint(2, a)
    template = rng.choice(ADD_SUBTRACT)
    if template.index("{b}") < template.index("{c}"):
        written = f"{a} + {b} - {c}"
        lines = [f"{a} + {b} = {a + b}", f"{a + b} - {c} = {a + b - c}"]
    else:
        written = f"{a} - {c} + {b}"
        lines = [f"{a} - {c} = {a - c}", f"{a - c} + {b} = {a - c + b}"]
    return template, {"a": a, "b": b, "c": c}, written, lines


def _slip(rng: Random, result: int) -> int:
    """A near miss, never negative."""
    return result + rng.choice([step for step in (-10, -2, -1, 1, 2, 10) if result + step >= 0])
