"""Settings of `scripts.curate.classify`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from scripts.common.settings import Settings, Share


class Classify(Settings):
    """The fastText domain of records whose source states none. The step drops nothing."""

    step: Literal["classify"]
    threshold: Share = Field(description="below this probability the domain is `general`")
