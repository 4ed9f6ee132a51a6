"""Settings of `scripts.curate.length`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from scripts.common.settings import Domain, Settings


class Length(Settings):
    """Bounds on the number of words of prompt and response together (scripts/curate/words.py)."""

    step: Literal["length"]
    minimum: int = Field(ge=0)
    maximum: int = Field(gt=0)
    maximum_by_domain: dict[Domain, int] = Field(default={})
