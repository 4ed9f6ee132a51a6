"""fastText classifiers of language and domain: the text they see, and their answers.

The same cleaning serves training and prediction, so it lives here and nowhere else.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from fasttext.FastText import _FastText

from scripts.curate import views
from scripts.curate.words import CJK, normalise, words

LABEL = "__label__"
MODEL = "model.bin"
LENGTH = 4_000  # characters: more says nothing new about language or domain, and a message may have 10 MB
CODE = re.compile(
    r"```.*?(```|\Z)|`[^`\n]*`|https?://\S+|\\[a-zA-Z]+", re.DOTALL
)  # fences, spans, links, LaTeX commands
NOT_LETTERS = re.compile(r"[\W\d_]+")
IDEOGRAPH = re.compile(f"[{CJK}]")


class UnknownLabelError(ValueError):
    """A label is asked for that the classifier was not trained on: the message lists those it knows."""


def language_text(text: str) -> str:
    """The letters of `text` in lower case, without code, links and formula commands, each gap one space."""
    return NOT_LETTERS.sub(" ", CODE.sub(" ", text[:LENGTH])).strip().lower()


def letters(cleaned: str) -> int:
    """How much there is to judge a language by: letters, an ideograph or kana counting three."""
    return len(cleaned) - cleaned.count(" ") + 2 * len(IDEOGRAPH.findall(cleaned))


def domain_text(text: str) -> str:
    """The words of `text` with every number as 0: its kind matters, not its value."""
    return " ".join("0" if word.isdigit() else word for word in words(normalise(text[:LENGTH])))


def domain_view(record: dict[str, Any]) -> str:
    """What a record's domain is judged by: the prompt, for responses may be missing or wrong."""
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


def check_labels(path: Path, keep: tuple[str, ...]) -> None:
    """Raise UnknownLabelError where the model does not know a language that is to be kept."""
    known = probabilities(path, "")
    if unknown := [language for language in keep if language not in known]:
        raise UnknownLabelError(f"languages: the classifier does not know {unknown}; it knows {sorted(known)}")
