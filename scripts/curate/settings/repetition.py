"""Settings of `scripts.curate.repetition`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from scripts.common.settings import Settings, Share


class Repetition(Settings):
    """Gopher's repetition rules on the response (arXiv 2112.11446, table A1), with shares that the scale sets.

    Gopher's shares are for web pages: 0.3 and 0.2 for lines, 0.20 to 0.16 for the commonest n-grams of 2 to 4
    words, 0.15 to 0.10 for all of 5 to 10. They drop 11 % of GSM8K's and CodeAlpaca's responses, none of them a loop.
    """

    step: Literal["repetition"]
    duplicate_lines: Share
    duplicate_line_chars: Share
    top_ngrams: tuple[tuple[int, Share], ...] = Field(description="(n, share of characters) of the commonest n-gram")
    duplicate_ngrams: tuple[tuple[int, Share], ...] = Field(description="(n, share of characters) in repeated n-grams")
    minimum_words: int = Field(
        ge=0, description="shorter responses are not judged: any n-gram is a large share of them"
    )
