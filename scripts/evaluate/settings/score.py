"""Settings of `scripts.evaluate.score`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from scripts.common.settings import Settings
from scripts.verify.settings import VerifySettings

Metric = Literal["pass@1", "strict-prompt"]


class ScoreSettings(Settings):
    """Recipe settings of `scripts.evaluate.score`."""

    model: str
    benchmarks: dict[str, Metric] = Field(min_length=1)
    verify: VerifySettings
