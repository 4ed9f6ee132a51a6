"""What both deduplications can be told: which of several equal records is kept."""

from __future__ import annotations

from pydantic import Field

from scripts.common.settings import Settings


class Preference(Settings):
    """Which copy a deduplication keeps: the source's priority decides, then the pool's order."""

    priorities: dict[str, int] = Field(default={}, description="priority per source; 0 for a source that is not named")
