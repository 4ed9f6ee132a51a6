"""Settings of `scripts.curate.train_classifier`."""

from __future__ import annotations

from pydantic import Field

from scripts.common.settings import Settings, Share


class FastText(Settings):
    """Training of a fastText classifier of domains."""

    epochs: int = Field(gt=0)
    learning_rate: float = Field(gt=0)
    dimension: int = Field(gt=0)
    word_ngrams: int = Field(default=2, ge=1)
    buckets: int = Field(default=200_000, gt=0, description="hashed n-grams; the model has this many rows and more")
    held_out: Share = Field(description="share of the labelled texts kept for the accuracy")
    labels: dict[str, str] = Field(
        default={}, description="domain of all records of a source whose own records state none"
    )
    per_label: int | None = Field(default=None, gt=0, description="at most this many texts per label; null: all")


class Classifiers(Settings):
    """The classifiers that curation trains."""

    domain: FastText
