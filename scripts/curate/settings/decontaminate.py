"""Settings of `scripts.curate.decontaminate`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from scripts.common.settings import Settings, Share


class Decontaminate(Settings):
    """n-gram overlap with every configured benchmark, on normalised words."""

    step: Literal["decontaminate"]
    ngram: int = Field(gt=0, description="words; shorter benchmark texts are looked for as a whole")
    minimum_words: int = Field(
        gt=0, description="benchmark texts shorter than this have no n-grams: prompts are found as a whole"
    )
    threshold: Share = Field(description="share of the benchmark text's n-grams that makes a hit")
    short_room: int = Field(
        default=5,
        ge=1,
        description="a prompt shorter than minimum_words is found, as sentences or lines of its own, in a prompt of at "
        "most this many times its words; 1: only as the whole prompt",
    )
    template_items: int = Field(
        gt=1, description="an n-gram in this many different benchmark items is a template and evidence against no item"
    )
