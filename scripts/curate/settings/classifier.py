"""Settings of `scripts.curate.train_classifier`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from scripts.common.settings import Settings, Share


class FastText(Settings):
    """Training of a fastText classifier."""

    epochs: int = Field(gt=0)
    learning_rate: float = Field(gt=0)
    dimension: int = Field(gt=0)
    word_ngrams: int = Field(default=2, ge=1)
    min_char_ngram: int = Field(default=0, ge=0)
    max_char_ngram: int = Field(default=0, ge=0)
    buckets: int = Field(default=200_000, gt=0, description="hashed n-grams; the model has this many rows and more")
    held_out: Share = Field(description="share of the labelled texts kept for the accuracy")
    labels: dict[str, str] = Field(
        default={}, description="label of all records of a source, where the records themselves carry none"
    )
    agreement: Share = Field(
        default=0.05,
        description="least probability that a model of the embedded sentences alone gives such a label of a language",
    )
    per_label: int | None = Field(default=None, gt=0, description="at most this many texts a label; null: all")
    repeated_to: int = Field(
        default=1,
        gt=0,
        description="a label's texts are repeated while there are fewer: else a rare label is never the likeliest",
    )


class Classifiers(Settings):
    """The two classifiers that curation uses: language (labels from sources' meta) and domain."""

    language: FastText
    domain: FastText


class TrainClassifier(Settings):
    """What the training step gets: which classifier, and how it is trained."""

    target: Literal["language", "domain"]
    training: FastText
