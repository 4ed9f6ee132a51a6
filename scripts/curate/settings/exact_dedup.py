"""Settings of `scripts.curate.exact_dedup`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from scripts.curate.settings.preference import Preference


class ExactDedup(Preference):
    """Same prompt after normalising Unicode forms, case and white space, and same response."""

    step: Literal["exact-dedup"]
    key: Literal["prompt", "prompt-response"] = Field(description="what makes two records the same")
