"""Settings of curation: one model a step; a pool is a list of them, run in the order written."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from scripts.common.settings import Domain, Settings

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Format(Settings):
    """Roles alternate and end as they should, no empty message, think blocks closed and not empty."""

    step: Literal["format"]


class Language(Settings):
    """Keep the languages named, as a fastText model sees them."""

    step: Literal["language"]
    keep: tuple[str, ...] = Field(min_length=1)
    threshold: Share


class Length(Settings):
    """Bounds on the record's length in tokens (a regex word tokenizer), by domain where stated."""

    step: Literal["length"]
    minimum: int = Field(ge=0)
    maximum: int = Field(gt=0)
    maximum_by_domain: dict[Domain, int] = Field(default={})


class Repetition(Settings):
    """Gopher's repetition rules on the response."""

    step: Literal["repetition"]
    duplicate_lines: Share
    duplicate_line_chars: Share
    top_ngrams: tuple[tuple[int, Share], ...] = Field(description="(n, share of characters) of the commonest n-gram")
    duplicate_ngrams: tuple[tuple[int, Share], ...]


class Refusal(Settings):
    """Refusals and boilerplate about being a model, by regular expressions."""

    step: Literal["refusal"]
    patterns: tuple[str, ...] = Field(min_length=1)


class Truncation(Settings):
    """Responses that stop in mid-sentence, in an open code fence or an open bracket."""

    step: Literal["truncation"]
    endings: str = Field(description="characters a finished response may end with, besides letters of a short answer")


class ExactDedup(Settings):
    """Same normalised prompt and response; keeps the copy of the source with the highest priority."""

    step: Literal["exact-dedup"]


class NearDedup(Settings):
    """MinHash near-duplicates across sources. Threshold is about (1 / buckets) ** (1 / hashes)."""

    step: Literal["near-dedup"]
    ngram: int = Field(gt=0)
    buckets: int = Field(gt=0)
    hashes_per_bucket: int = Field(gt=0)


class Decontaminate(Settings):
    """n-gram overlap with every configured benchmark, on normalised words."""

    step: Literal["decontaminate"]
    ngram: int = Field(gt=0)
    threshold: Share = Field(description="share of the benchmark item's n-grams that makes a hit")


class Classify(Settings):
    """fastText domain of records whose source states none. Drops nothing."""

    step: Literal["classify"]
    threshold: Share = Field(description="below this probability the domain is `general`")


Step = Annotated[
    Format | Language | Length | Repetition | Refusal | Truncation | ExactDedup | NearDedup | Decontaminate | Classify,
    Field(discriminator="step"),
]
STEPS = (
    "format",
    "language",
    "length",
    "repetition",
    "refusal",
    "truncation",
    "exact-dedup",
    "near-dedup",
    "decontaminate",
    "classify",
)


class Pool(Settings):
    """A pool of records: some sources, and the steps that curate them."""

    sources: tuple[str, ...] = Field(min_length=1)
    steps: tuple[Step, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _steps_are_distinct(self) -> Pool:
        names = [step.step for step in self.steps]
        if len(set(names)) != len(names):
            raise ValueError(f"a step stands twice in {names}: its folder is named by the step, so name each once")
        return self


class FastText(Settings):
    """Training of a fastText classifier. One thread and a bucketed model, for the same bytes every time."""

    epochs: int = Field(gt=0)
    learning_rate: float = Field(gt=0)
    dimension: int = Field(gt=0)
    word_ngrams: int = Field(default=2, ge=1)
    min_char_ngram: int = Field(default=0, ge=0)
    max_char_ngram: int = Field(default=0, ge=0)
    buckets: int = Field(default=200_000, gt=0, description="0 leaves memory uninitialised (fastText issue 1061)")
    held_out: Share = Field(description="share of the labelled records kept for the accuracy")


class Classifiers(Settings):
    """The two classifiers that curation uses: language (labels from sources' meta) and domain."""

    language: FastText
    domain: FastText
