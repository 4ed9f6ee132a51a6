"""Knowledge: four-option questions about an invented world.

A fact's level says how often the pretraining corpus states it: level 1 often, level 3 rarely.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from scripts.sources.tasks.base import LEVELS, Task

RELATIONS = {  # statement, questions, values
    "home": (
        "The {subject} lives in the {value}.",
        ("Where does the {subject} live?", "In which place can you meet the {subject}?"),
        ("barn", "cave", "desert", "field", "forest", "lake", "marsh", "meadow", "mountain", "tower"),
    ),
    "food": (
        "The {subject} eats {value}.",
        ("What does the {subject} eat?", "Which food does the {subject} like?"),
        ("beans", "bread", "cheese", "corn", "figs", "grass", "honey", "leaves", "moss", "rice"),
    ),
    "color": (
        "The {subject} is {value}.",
        ("What color is the {subject}?", "Which color does the {subject} have?"),
        ("black", "blue", "brown", "gold", "gray", "green", "orange", "purple", "red", "white"),
    ),
}
LETTERS = "ABCD"
ONSETS, VOWELS = "bdfgklmnprstvz", "aeiou"


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
    """Invented creatures with a home, a food and a color each; as many of them at every level."""

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

    def draw(self, rng: Random, level: int) -> Task:
        """A question about a fact of `level`; the answer is a letter."""
        fact = rng.choice(self._by_level[level])
        _, questions, values = RELATIONS[fact.relation]
        options = rng.sample([value for value in values if value != fact.value], 3)
        letter = rng.randrange(4)
        options.insert(letter, fact.value)
        question = rng.choice(questions).format(subject=fact.subject)
        listed = "\n".join(f"{option} ({mark})" for mark, option in zip(LETTERS, options, strict=True))
        miss = rng.choice([index for index in range(4) if index != letter])
        return Task(
            domain="knowledge",
            level=level,
            prompt=f"{question}\n{listed}",
            response=_answer(fact, fact.value, LETTERS[letter]),
            thought=fact.statement(),
            wrong=_answer(fact, options[miss], LETTERS[miss]),
            kind="choice",
            spec={"target": LETTERS[letter]},
        )


def _answer(fact: Fact, value: str, letter: str) -> str:
    return f"{value} ({letter})\nAnswer: {letter}"
