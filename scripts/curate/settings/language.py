"""Settings of `scripts.curate.language`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from scripts.common.settings import Domain, Settings, Share


class Language(Settings):
    """Keep the languages named, in the prompt and in the response."""

    step: Literal["language"]
    keep: tuple[str, ...] = Field(min_length=1, description="labels of fastText's lid.176, mostly ISO 639-1: en, zh")
    threshold: Share = Field(
        description="a text goes if the kept languages together are less than this times as likely as another one"
    )
    minimum_letters: int = Field(
        ge=0,
        description="texts with fewer letters of prose are not judged: `12 + 3` has no language. A letter that is not "
        "Latin counts three",
    )
    prompt_only: tuple[Domain, ...] = Field(
        default=("code",), description="domains whose responses are not judged: a program is in no human language"
    )
