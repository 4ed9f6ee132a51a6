"""Settings of `scripts.curate.truncation`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from scripts.common.settings import Settings


class Truncation(Settings):
    """Responses that stop in mid-sentence, in an open code fence or an open bracket."""

    step: Literal["truncation"]
    endings: str = Field(
        default=".!?:;)]}>\"'|`*_$%~\u3002\uff01\uff1f\u2026\uff09\u3011\u300d\u300f\u201d\u2019\u300b\uff5e"
        "\u0964\u061f\u06d4",
        description="characters that a finished line may end with; the last fifteen: full-width stops, quotes, "
        "stops of Hindi, Arabic and Urdu",
    )
    minimum_words: int = Field(ge=1, description="a last line of fewer words is an answer, not a sentence cut short")
    unpunctuated_words: int = Field(
        ge=1, description="the same if no other sentence of the response ends with a stop: that may be a style"
    )
