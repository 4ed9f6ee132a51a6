"""Settings of data sets: what a training run reads, selected and mixed to an exact size."""

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
    """Which records of a domain are taken when there are more than its share."""

    kind: Literal["random", "cluster", "k-center"]
    clusters: int = Field(default=16, gt=0, description="clusters a domain (cluster)")
    dimensions: int = Field(default=64, gt=0, description="of the embedding: TF-IDF reduced by SVD")
    fitted_on: int = Field(
        default=20_000, gt=0, description="prompts of a domain, drawn evenly, that embedding and clusters are fitted on"
    )
    encoder: str | None = Field(
        default=None, description="model whose mean last hidden state is the embedding instead (not for `sources`)"
    )

    @model_validator(mode="after")
    def _encoder_is_used(self) -> Select:
        if self.encoder and self.kind == "random":
            raise ValueError("encoder: a random selection looks at no prompt; leave it out, or choose another kind")
        return self


class Dataset(Settings):
    """One data set. Exactly one of `pool`, `responses`, `graded` says what it is made from."""

    purpose: Literal["sft", "rl", "pretrain"] = Field(description="rl keeps the prompt and the answer alone")
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
        default=None, description="weights of the domains, no others; null: as they come"
    )
    source_ratios: dict[str, Weight] | None = Field(
        default=None, description="weights of the sources inside each domain, no others; null: as they come"
    )
    temperature: float = Field(
        default=1.0,
        ge=1.0,
        description="shares that have no weights go with n ** (1 / temperature) for n records: 1 is as they come",
    )
    caps: dict[str, Cap] = Field(
        default={}, description="most records of a source: a number, or below 1 a share of `size`"
    )
    size: int | None = Field(gt=0, description="exactly so many records; null (without ratios): all that are left")
    select: Select

    @model_validator(mode="after")
    def _one_origin(self) -> Dataset:
        origins = [name for name in ("pool", "responses", "graded", "sources") if getattr(self, name) is not None]
        if len(origins) != 1:
            raise ValueError(f"name exactly one of pool, responses, graded, sources; found {origins or 'none'}")
        if self.select.encoder and self.sources is not None:
            raise ValueError("select.encoder: embeddings are those of a pool; a data set of `sources` has none")
        if self.bands and self.graded is None:
            raise ValueError("bands need a graded set: give `graded: <name>`")
        if self.correct != "any" and self.responses is None:
            raise ValueError(f"correct: {self.correct} needs verdicts: give `responses: <name>`")
        return self

    @model_validator(mode="after")
    def _size_to_share_out(self) -> Dataset:
        shared = {
            "ratios": self.ratios,
            "source_ratios": self.source_ratios,
            "temperature": self.temperature > 1,
            "caps below 1": [cap for cap in self.caps.values() if cap < 1],
        }
        if self.size is None and (given := [name for name, value in shared.items() if value]):
            raise ValueError(f"{', '.join(given)} need a size to share out: give `size`")
        return self

    @property
    def shares_sources(self) -> bool:
        """Whether anything is said of the sources, so that each one's number is fixed before the selection."""
        return bool(self.source_ratios or self.caps) or self.temperature > 1

    def cap_counts(self) -> dict[str, int]:
        """Most records of each capped source, shares of the size rounded down."""
        size = self.size or 0
        return {name: int(cap) if cap >= 1 else floor(size * Fraction(str(cap))) for name, cap in self.caps.items()}


class BuildSettings(Settings):
    """What the building step gets: the data set, its name, and what its card says of the sources."""

    name: str
    dataset: Dataset
    licences: dict[str, str] = Field(default={}, description="licence of each source, for the card")
