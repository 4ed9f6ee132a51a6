"""Settings of `scripts.distill.grade`."""

from __future__ import annotations

from pydantic import Field, model_validator

from scripts.common.settings import Settings, Share
from scripts.verify.settings import VerifySettings


class Bands(Settings):
    """Difficulty by the reference student's pass rate: hard < hard_below <= medium < easy_from <= easy."""

    easy_from: Share
    hard_below: Share

    @model_validator(mode="after")
    def _ordered(self) -> Bands:
        if self.hard_below >= self.easy_from:
            raise ValueError(f"hard_below {self.hard_below} must be below easy_from {self.easy_from}")
        return self


class GradeSettings(Settings):
    """Recipe settings of `scripts.distill.grade`."""

    bands: Bands
    samples: int = Field(gt=0, description="attempts per prompt: the largest k of pass@k")
    verify: VerifySettings
