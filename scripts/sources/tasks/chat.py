"""General: small talk and help without a verifiable answer."""

from __future__ import annotations

from random import Random

from scripts.sources.tasks.base import Task
from scripts.sources.tasks.words import ADJECTIVES, ANIMALS, NAMES, PLACES, THINGS

EXCHANGES = (
    ("Hello, I am {name} and I like the {place}. How are you?", "Hello {name}! I am fine, the {place} is nice."),
    ("I lost my {things} near the {place}. What can I do?", "Look for the {things} near the {place}."),
    ("Give the {adjective} {animal} of the {place} a name.", "{name} is a good name for a {adjective} {animal}."),
    ("Where can {name} see a {adjective} {animal}?", "Go with {name} to the {place}."),
    ("{name} likes the {place}. Which gift is good?", "I think {name} would like the {things}."),
)


def draw(rng: Random, level: int) -> Task:
    """A short exchange; the level says nothing about its difficulty."""
    prompt, response = rng.choice(EXCHANGES)
    words = {
        "name": rng.choice(NAMES),
        "place": rng.choice(PLACES),
        "things": rng.choice(THINGS),
        "animal": rng.choice(ANIMALS),
        "adjective": rng.choice(ADJECTIVES),
    }
    return Task(
        domain="general",
        level=level,
        prompt=prompt.format(**words),
        response=response.format(**words),
        thought="A friendly answer is enough.",
        wrong="",
    )
