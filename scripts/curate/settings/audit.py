"""Settings of `scripts.curate.audit`."""

from __future__ import annotations

from pydantic import Field

from scripts.common.settings import Settings


class Audit(Settings):
    """The page that samples decontamination's hits."""

    samples: int = Field(default=5, gt=0, description="hits shown of each benchmark, and as many templates")
    characters: int = Field(default=600, gt=0, description="of each text")
