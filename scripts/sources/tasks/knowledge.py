"""Knowledge: four-option questions about an invented world.

A fact's level says how often the pretraining corpus states it: level 1 often, level 3 rarely. The
options of a relation have one order, so that a small model has to know the fact and no more.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from scripts.sources.tasks.base import LEVELS, Task

RELATIONS = {  # statement, questions, values
    "home": (
        "The {subject} lives in the {value}.",
        ("Where does the {subject} live?", "In which place lives the {subject}?", "Name the home of the {subject}."),
        ("cave", "lake", "field", "tower"),
    ),
    "food": (
        "The {subject} eats {value}.",
        ("What does the {subject} eat?", "Which food eats the {subject}?", "Name the food of the {subject}."),
        ("bread", "corn", "honey", "rice"),
    ),
    "color": (
        "The {subject} is {value}.",
        ("What color is the {subject}?", "Which color has the {subject}?", "Name the color of the {subject}."),
        ("red", "blue", "gold", "gray"),
    ),
}
OPENINGS = ("", "Quiz: ", "Question: ")
CLOSINGS = ("", " Choose one.", " Give the letter.")
LETTERS = "ABCD"
ONSETS, VOWELS = "bdfgklmnprstvz", "aeiou"
STATED = {1: 12, 2: 4, 3: 1}
"""Relative frequency of a fact of each level in the pretraining corpus."""


def question(prompt: str) -> str:
    """The question of a prompt without its opening and closing, which do not make it another question."""
    first = prompt.split("\n")[0]
    for closing in CLOSINGS:
        first = first.removesuffix(closing) if closing else first
    for opening in OPENINGS:
        first = first.removeprefix(opening)
    return first


@dataclass(frozen=True)
class Fact:
    """One relation of one invented creature."""

    subject: str
    relation: str
    value: str
    level: int

    def statement(self) -> str:
        """The fact as a sentence."""
        return RELATIONS[self.relation][0].format(subject=self.subject, value=self.value)


class World:
    """Invented creatures with a home, a food and a color each; every level has the same number of them."""

    def __init__(self, rng: Random, creatures: int) -> None:
        names: dict[str, None] = {}
        while len(names) < creatures:
            names["".join(rng.choice(letters) for letters in (ONSETS, VOWELS, ONSETS, VOWELS))] = None
        self.facts = [
            Fact(name, relation, rng.choice(values), LEVELS[index % len(LEVELS)])
            for index, name in enumerate(names)
            for relation, (_, _, values) in RELATIONS.items()
        ]
        self._by_level = {level: [fact for fact in self.facts if fact.level == level] for level in LEVELS}

    def statements(self, rng: Random, count: int) -> str:
        """`count` facts as text, the frequent ones more often."""
        facts = rng.choices(self.facts, [STATED[fact.level] for fact in self.facts], k=count)
        return " ".join(fact.statement() for fact in facts)

    def draw(self, rng: Random, level: int) -> Task:
        """A question about a fact of `level`; the answer is a letter."""
        fact = rng.choice(self._by_level[level])
        _, questions, values = RELATIONS[fact.relation]
        right = values.index(fact.value)
        miss = rng.choice([index for index in range(len(values)) if index != right])
        options = "".join(f"\n{letter}) {value}" for letter, value in zip(LETTERS, values, strict=True))
        question = rng.choice(OPENINGS) + rng.choice(questions).format(subject=fact.subject) + rng.choice(CLOSINGS)
        return Task(
            domain="knowledge",
            level=level,
            prompt=question + options,
            response=_answer(values[right], LETTERS[right]),
            thought=fact.statement(),
            wrong=_answer(values[miss], LETTERS[miss]),
            kind="choice",
            spec={"target": LETTERS[right]},
        )


def _answer(value: str, letter: str) -> str:
    return f"{value}\nAnswer: {letter}"
