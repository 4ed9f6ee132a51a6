"""Settings of response distillation, cross-verification and grading."""

from __future__ import annotations

from pydantic import Field, model_validator

from scripts.common.settings import Sampling, Settings


class ResponseSet(Settings):
    """Teachers' samples for the prompts of a pool, with every verdict about them as a column."""

    pool: str
    teachers: tuple[str, ...] = Field(min_length=1)
    samples: int = Field(gt=0, description="responses per prompt and teacher")
    sampling: Sampling
    thinking: bool
    prompts: int | None = Field(default=None, gt=0, description="at most this many prompts (first by id); null: all")
    keep_original: bool = Field(description="the source's own response stands among the candidates")


class Bands(Settings):
    """Difficulty by pass rate of the reference student: hard <= hard_below < medium < easy_from <= easy."""

    easy_from: float = Field(ge=0.0, le=1.0)
    hard_below: float = Field(ge=0.0, le=1.0)

    @model_validator(mode="after")
    def _ordered(self) -> Bands:
        if self.hard_below >= self.easy_from:
            raise ValueError(f"hard_below {self.hard_below} must lie below easy_from {self.easy_from}")
        return self


class GradedSet(Settings):
    """Pass rate of a reference student on the verifiable prompts of a pool."""

    pool: str
    student: str
    samples: int = Field(gt=0, description="k of pass@k")
    sampling: Sampling
    thinking: bool
    bands: Bands
