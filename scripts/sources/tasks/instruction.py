"""Instruction following: a sentence on a topic under one to three of IFEval's constraints.

Identifiers and arguments are IFEval's own (arXiv 2311.07911), so its checkers verify the responses.
The level is the number of constraints.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

from scripts.sources.tasks.base import Task
from scripts.sources.tasks.words import ADJECTIVES, ANIMALS, PLACES

REQUESTS = ("Write a sentence about the {topic}.", "Tell me something about the {topic}.", "Describe the {topic}.")
VERBS = ("sleeps", "walks", "plays", "waits", "hides", "sings")
ENDINGS = ("That is all.", "I hope this helps.", "See you soon.", "Thank you for reading.")
PLACEHOLDERS = ("[name]", "[date]", "[place]")


@dataclass
class Draft:
    """A response being shaped: its parts, in the order in which they are written."""

    topic: str
    adjective: str
    verb: str
    place: str
    joint: str = ", and it "
    title: str = ""
    extra: str = ""
    postscript: str = ""
    ending: str = ""
    bullets: bool = False
    quoted: bool = False
    lowercase: bool = False

    def text(self) -> str:
        """The response."""
        first, second = f"The {self.topic} is {self.adjective}", f"{self.verb} near the {self.place}"
        body = f"- {first}.\n- It {second}." if self.bullets else f"{first}{self.joint}{second}."
        tail = " ".join(part for part in (self.extra, self.ending) if part and not self.postscript)
        if self.postscript:
            tail = "\n" + " ".join(part for part in (self.postscript, self.extra, self.ending) if part)
        elif self.bullets and tail:
            tail = "\n" + tail
        text = self.title + body + (tail if tail.startswith("\n") or not tail else " " + tail)
        text = text.lower() if self.lowercase else text
        return f'"{text}"' if self.quoted else text


@dataclass(frozen=True)
class Constraint:
    """One checkable demand: how it is asked, its arguments, and what it changes in a draft."""

    name: str
    phrasings: tuple[str, ...]

    def arguments(self, rng: Random, draft: Draft) -> dict[str, Any]:
        """IFEval's keyword arguments of this demand."""
        if self.name == "keywords:existence":
            return {"keywords": [rng.choice([place for place in PLACES if place != draft.place])]}
        if self.name == "keywords:forbidden_words":
            return {"forbidden_words": ["and"]}
        if self.name == "startend:end_checker":
            return {"end_phrase": rng.choice(ENDINGS)}
        if self.name == "detectable_content:number_placeholders":
            return {"num_placeholders": rng.randint(1, 2)}
        if self.name == "detectable_content:postscript":
            return {"postscript_marker": "P.S."}
        if self.name == "detectable_format:number_bullet_lists":
            return {"num_bullets": 2}
        return {}


def _apply(name: str, arguments: dict[str, Any], draft: Draft) -> None:
    """Shape `draft` so that it meets the demand."""
    if name == "keywords:existence":
        draft.place = arguments["keywords"][0]
    elif name in ("keywords:forbidden_words", "punctuation:no_comma"):
        draft.joint = ". It " if name == "keywords:forbidden_words" else " and it "
    elif name == "startend:end_checker":
        draft.ending = arguments["end_phrase"]
    elif name == "detectable_content:number_placeholders":
        draft.extra = "Ask " + " ".join(PLACEHOLDERS[: arguments["num_placeholders"]]) + "."
    elif name == "detectable_content:postscript":
        draft.postscript = "P.S. It is nice."
    elif name == "detectable_format:number_bullet_lists":
        draft.bullets = True
    elif name == "detectable_format:title":
        draft.title = f"<<The {draft.topic}>>\n"
    elif name == "startend:quotation":
        draft.quoted = True
    elif name == "change_case:english_lowercase":
        draft.lowercase = True


CONSTRAINTS = (
    Constraint("keywords:existence", ("Use the word {keywords[0]}.", "Include the word {keywords[0]}.")),
    Constraint("keywords:forbidden_words", ("Do not use the word {forbidden_words[0]}.",)),
    Constraint("change_case:english_lowercase", ("Use only lowercase letters.", "Write in lowercase.")),
    Constraint("punctuation:no_comma", ("Do not use commas.", "Avoid commas.")),
    Constraint("startend:quotation", ("Wrap the answer in double quotes.", "Put it in double quotes.")),
    Constraint("startend:end_checker", ("End with the words: {end_phrase}", "The last words must be: {end_phrase}")),
    Constraint("detectable_format:title", ("Add a title like <<title>>.", "Start with a title like <<title>>.")),
    Constraint("detectable_content:postscript", ("Add a postscript with P.S.", "Finish with a P.S. note.")),
    Constraint(
        "detectable_content:number_placeholders",
        ("Use {num_placeholders} placeholders like [name].", "Include {num_placeholders} placeholders like [name]."),
    ),
    Constraint("detectable_format:number_bullet_lists", ("Write exactly {num_bullets} bullet points.",)),
)
CONFLICTS = (
    {"startend:quotation", "detectable_format:title"},
    {"keywords:forbidden_words", "punctuation:no_comma"},
    {"keywords:forbidden_words", "detectable_format:number_bullet_lists"},
    {"punctuation:no_comma", "detectable_format:number_bullet_lists"},
    {"startend:quotation", "detectable_format:number_bullet_lists"},
)


def draw(rng: Random, level: int) -> Task:
    """A task with `level` constraints. Its wrong answer misses one of them."""
    chosen = _choose(rng, level)
    topic = rng.choice(ANIMALS)
    draft = Draft(topic, rng.choice(ADJECTIVES), rng.choice(VERBS), rng.choice(PLACES))
    arguments = [item.arguments(rng, draft) for item in chosen]
    demands = [rng.choice(item.phrasings).format(**given) for item, given in zip(chosen, arguments, strict=True)]
    missed = rng.randrange(level)
    return Task(
        domain="instruction",
        level=level,
        prompt=" ".join([rng.choice(REQUESTS).format(topic=topic), *demands]),
        response=_respond(draft, chosen, arguments),
        thought=" ".join(demands),
        wrong=_respond(draft, chosen, arguments, missed),
        kind="instructions",
        spec={"instruction_id_list": [item.name for item in chosen], "kwargs": arguments},
    )


def _choose(rng: Random, count: int) -> list[Constraint]:
    while True:
        chosen = rng.sample(CONSTRAINTS, count)
        names = {item.name for item in chosen}
        if not any(pair <= names for pair in CONFLICTS):
            return chosen


def _respond(draft: Draft, chosen: list[Constraint], arguments: list[dict[str, Any]], missed: int = -1) -> str:
    shaped = Draft(draft.topic, draft.adjective, draft.verb, draft.place)
    for index, (item, given) in enumerate(zip(chosen, arguments, strict=True)):
        if index != missed:
            _apply(item.name, given, shaped)
    return shaped.text()
