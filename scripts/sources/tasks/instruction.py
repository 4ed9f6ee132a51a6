"""Instruction following: a sentence on a topic under one to three of IFEval's constraints.

Identifiers and arguments are IFEval's own (arXiv 2311.07911), so its checkers verify the responses.
The level is the number of constraints.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

from scripts.sources.tasks.base import Task
from scripts.sources.tasks.words import ADJECTIVES, ANIMALS

REQUESTS = ("Write about the {topic}.", "Describe the {topic}.", "Tell me about the {topic}.")
ENDINGS = ("That is all.", "See you soon.", "Thank you.")
PLACEHOLDERS = ("[name]", "[date]")
Arguments = dict[str, Any]


@dataclass(frozen=True)
class Constraint:
    """One constraint of IFEval, and sentences that ask for it."""

    name: str
    phrasings: tuple[str, ...]

    def arguments(self, rng: Random) -> Arguments:
        """IFEval's keyword arguments of this constraint."""
        match self.name:
            case "keywords:existence":
                return {"keywords": [rng.choice(ADJECTIVES)]}
            case "startend:end_checker":
                return {"end_phrase": rng.choice(ENDINGS)}
            case "detectable_content:number_placeholders":
                return {"num_placeholders": rng.randint(1, 2)}
            case "detectable_content:postscript":
                return {"postscript_marker": "P.S."}
        return {}


CONSTRAINTS = (
    Constraint("keywords:existence", ("Use the word {keywords[0]}.", "Include the word {keywords[0]}.")),
    Constraint("change_case:english_lowercase", ("Use only lowercase letters.", "Write in lowercase.")),
    Constraint("change_case:english_capital", ("Use only capital letters.", "Write in capitals.")),
    Constraint("punctuation:no_comma", ("Do not use commas.", "Avoid commas.")),
    Constraint("startend:quotation", ("Put it in double quotes.",)),
    Constraint("startend:end_checker", ("End with: {end_phrase}",)),
    Constraint("detectable_format:title", ("Add a title like <<title>>.",)),
    Constraint("detectable_content:postscript", ("Add a P.S. note.",)),
    Constraint("detectable_content:number_placeholders", ("Use {num_placeholders} placeholders like [name].",)),
)
CASES = {"change_case:english_lowercase", "change_case:english_capital"}


def draw(rng: Random, level: int) -> Task:
    """A task with `level` constraints. Its wrong answer misses one of them."""
    chosen = _choose(rng, level)
    topic, adjective = rng.choice(ANIMALS), rng.choice(ADJECTIVES)
    demands = {item.name: item.arguments(rng) for item in chosen}
    request = " ".join(rng.choice(item.phrasings).format(**demands[item.name]) for item in chosen)
    missed = rng.choice(chosen).name
    return Task(
        domain="instruction",
        level=level,
        prompt=f"{rng.choice(REQUESTS).format(topic=topic)} {request}",
        response=respond(topic, adjective, demands),
        thought=request,
        wrong=_missing(topic, adjective, demands, missed),
        kind="instructions",
        spec={"instruction_id_list": list(demands), "kwargs": list(demands.values())},
    )


def _choose(rng: Random, count: int) -> list[Constraint]:
    """Constraints that can be met together: at most one about upper and lower case."""
    while True:
        chosen = rng.sample(CONSTRAINTS, count)
        if len(CASES & {item.name for item in chosen}) < 2:
            return chosen


def respond(topic: str, adjective: str, demands: dict[str, Arguments]) -> str:
    """A response that meets the constraints; `demands` maps their ids to their arguments."""
    if "keywords:existence" in demands:
        adjective = demands["keywords:existence"]["keywords"][0]
    # shorter sentences in capitals are not English to IFEval's language detection
    joint = " and it is nice." if "punctuation:no_comma" in demands else ", and it is nice."
    text = f"The {topic} is {adjective}{joint}"
    if "detectable_format:title" in demands:
        text = f"<<The {topic}>>\n{text}"
    if "detectable_content:number_placeholders" in demands:
        count = demands["detectable_content:number_placeholders"]["num_placeholders"]
        text += f" Ask {' '.join(PLACEHOLDERS[:count])}."
    if "detectable_content:postscript" in demands:
        text += "\nP.S. It is nice."
    if "startend:end_checker" in demands:
        text += f" {demands['startend:end_checker']['end_phrase']}"
    return _dressed(text, demands)


def _dressed(text: str, demands: dict[str, Arguments]) -> str:
    if "change_case:english_lowercase" in demands:
        text = text.lower()
    if "change_case:english_capital" in demands:
        text = text.upper()
    return f'"{text}"' if "startend:quotation" in demands else text


def _missing(topic: str, adjective: str, demands: dict[str, Arguments], missed: str) -> str:
    """A response that meets all constraints but one, also if the adjective drawn is the required word."""
    kept = {name: arguments for name, arguments in demands.items() if name != missed}
    if missed == "keywords:existence" and demands[missed]["keywords"][0] == adjective:
        adjective = next(word for word in ADJECTIVES if word != adjective)
    return respond(topic, adjective, kept)
