"""Settings of `scripts.curate.language`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from scripts.common.settings import Domain, Settings, Share


class Language(Settings):
    """Keep the languages named, as a fastText model sees them, in the prompt and in the response."""

    step: Literal["language"]
    keep: tuple[str, ...] = Field(min_length=1)
    threshold: Share = Field(description="least probability of the kept languages together")
    minimum_letters: int = Field(ge=0, description="texts with fewer letters are not judged: `12 + 3` has no language")
    prompt_only: tuple[Domain, ...] = Field(
        default=("code",), description="domains whose responses are not judged: a program is in no human language"
    )
