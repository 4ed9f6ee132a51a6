"""Settings of `scripts.mix.build`; `Dataset` is an entry of `datasets:` in the configuration."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import Annotated, Literal

from pydantic import Field, model_validator

from scripts.common.settings import Domain, Settings

Band = Literal["easy", "medium", "hard"]
Weight = Annotated[float, Field(gt=0.0)]
Cap = Annotated[int, Field(gt=0, strict=True)] | Annotated[float, Field(gt=0.0, lt=1.0, strict=True)]


class Select(Settings):
    """The method that selects a domain's records if there are more than its share."""

    kind: Literal["random", "cluster", "k-center"]
    clusters: int = Field(default=16, gt=0, description="clusters per domain (kind: cluster)")
    dimensions: int = Field(default=64, gt=0, description="dimensions of the embedding, TF-IDF reduced by SVD")
    fitted_on: int = Field(
        default=20_000,
        gt=0,
        description="prompts per domain, drawn at random, that embedding and clusters are fitted on",
    )
    encoder: str | None = Field(
        default=None, description="model whose mean last hidden state is the embedding instead (not for `sources`)"
    )

    @model_validator(mode="after")
    def _encoder_is_used(self) -> Select:
        if self.encoder and self.kind == "random":
            raise ValueError("encoder: a random selection reads no prompt; leave it out, or choose another kind")
        return self


class Dataset(Settings):
    """One data set. Exactly one of `pool`, `responses`, `graded` and `sources` names its origin."""

    purpose: Literal["sft", "rl", "pretrain"] = Field(description="rl keeps only the prompt and the answer")
    pool: str | None = None
    responses: str | None = None
    graded: str | None = None
    sources: tuple[str, ...] | None = Field(default=None, description="raw sources read directly (pretraining text)")
    correct: Literal["verified", "any", "size-matched"] = Field(
        default="any",
        description="verified: only responses that the verifier and the vote accept; size-matched: as many as "
        "verified would leave, drawn at random (the ablation's control)",
    )
    thinking: bool | None = Field(default=None, description="only responses with (true) or without (false) thinking")
    bands: tuple[Band, ...] | None = Field(default=None, description="difficulty bands (graded sets)")
    include_degenerate: bool = Field(default=False, description="keep prompts that the student always or never solves")
    ratios: dict[Domain, Weight] | None = Field(
        default=None, description="weights of the domains, others are excluded; null: as they come"
    )
    source_ratios: dict[str, Weight] | None = Field(
        default=None, description="weights of the sources inside each domain, others are excluded; null: as they come"
    )
    temperature: float = Field(
        default=1.0,
        ge=1.0,
        description="shares without weights are proportional to n ** (1 / temperature) for n records; 1: as they come",
    )
    caps: dict[str, Cap] = Field(
        default={}, description="most records of a source: a number, or below 1 a share of `size`"
    )
    size: int | None = Field(gt=0, description="exact number of records; null (without ratios): all that are left")
    select: Select

    @model_validator(mode="after")
    def _one_origin(self) -> Dataset:
        origins = [name for name in ("pool", "responses", "graded", "sources") if getattr(self, name) is not None]
        if len(origins) != 1:
            raise ValueError(f"name exactly one of pool, responses, graded, sources, not {origins or 'none'}")
        if self.select.encoder and self.sources is not None:
            raise ValueError("select.encoder: embeddings are those of a pool; a data set of `sources` has none")
        if self.bands and self.graded is None:
            raise ValueError("bands need a graded set: set `graded: <name>`")
        if self.correct != "any" and self.responses is None:
            raise ValueError(f"correct: {self.correct} needs verdicts: set `responses: <name>`")
        return self

    @model_validator(mode="after")
    def _shares_have_a_size(self) -> Dataset:
        shares = {
            "ratios": self.ratios,
            "source_ratios": self.source_ratios,
            "temperature": self.temperature > 1,
            "caps below 1": [cap for cap in self.caps.values() if cap < 1],
        }
        if self.size is None and (names := [name for name, value in shares.items() if value]):
            raise ValueError(f"{', '.join(names)} need a size to divide: set `size`")
        return self

    @property
    def shares_sources(self) -> bool:
        """Whether the number of each source's records is fixed before the selection."""
        return bool(self.source_ratios or self.caps) or self.temperature > 1

    def cap_counts(self) -> dict[str, int]:
        """Most records of each capped source, shares of the size rounded down."""
        size = self.size or 0
        return {name: int(cap) if cap >= 1 else floor(size * Fraction(str(cap))) for name, cap in self.caps.items()}


class BuildSettings(Settings):
    """Recipe settings of `scripts.mix.build`: the data set, its name, and its sources' licences for the card."""

    name: str
    dataset: Dataset
    licences: dict[str, str] = Field(default={}, description="licence of each source, for the card")
