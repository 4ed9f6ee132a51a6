"""The fastText classifier of domains: the text it sees, and its answers.

The same cleaning serves training and prediction, so it lives here and nowhere else.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from fasttext.FastText import _FastText

from scripts.curate import views
from scripts.curate.words import normalise, words

LABEL = "__label__"
MODEL = "model.bin"
LENGTH = 4_000  # characters: more says nothing new about the domain, and a message may have 10 MB


def domain_text(text: str) -> str:
    """The words of `text` with every number as 0: its kind matters, not its value."""
    return " ".join("0" if word.isdigit() else word for word in words(normalise(text[:LENGTH])))


def domain_view(record: dict[str, Any]) -> str:
    """The text that a record's domain is judged by: the prompt, because responses may be missing or wrong."""
    return domain_text(views.prompt(record))


@cache
def load(path: Path) -> _FastText:
    """The model that `train_classifier` wrote."""
    return _FastText(str(path))


def probabilities(path: Path, cleaned: str) -> dict[str, float]:
    """Probability of each label for a cleaned text, the likeliest first."""
    labels, scores = load(path).predict(cleaned, k=-1)
    return {label.removeprefix(LABEL): min(float(score), 1.0) for label, score in zip(labels, scores, strict=True)}


def best(path: Path, cleaned: str) -> str:
    """The likeliest label of a cleaned text."""
    return next(iter(probabilities(path, cleaned)))
