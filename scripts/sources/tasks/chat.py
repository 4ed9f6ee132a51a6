"""General: small talk and help without a verifiable answer."""

from __future__ import annotations

from random import Random

from scripts.sources.tasks.base import Task
from scripts.sources.tasks.words import ADJECTIVES, ANIMALS, NAMES, PLACES, THINGS

EXCHANGES = (
    ("Hello, my name is {name} and I like the {place}. How are you?", "Hello {name}! I am fine. The {place} is nice."),
    ("I lost my {things} near the {place}. What can I do?", "Go back to the {place} and look for the {things}."),
    ("{name} is sad today. How can I cheer up my friend?", "Take {name} for a walk to the {place}."),
    ("Which is better for a gift to {name}, {things} or a {animal}?", "I think {name} would like the {things} more."),
    ("Can you recommend a place where {name} can see a {animal}?", "You can often see a {animal} near the {place}."),
    ("Thank you, that {animal} story was {adjective}!", "You are welcome. I am glad you liked the {animal}."),
    ("Give the {adjective} {animal} a name, please.", "{name} is a good name for a {adjective} {animal}."),
    ("It rains in the {place} and {name} is bored. Any idea?", "{name} could sort the {things} at home."),
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
