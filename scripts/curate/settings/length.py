"""Settings of `scripts.curate.length`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from scripts.common.settings import Domain, Settings


class Length(Settings):
    """Bounds on the record's length in tokens (a regex word tokenizer), by domain where stated."""

    step: Literal["length"]
    minimum: int = Field(ge=0)
    maximum: int = Field(gt=0)
    maximum_by_domain: dict[Domain, int] = Field(default={})
