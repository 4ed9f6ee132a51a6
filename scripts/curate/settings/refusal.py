"""Settings of `scripts.curate.refusal`."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator

from scripts.common.settings import Settings


class Refusal(Settings):
    """Refusals and boilerplate about being a model, by regular expressions on the answer after any thinking."""

    step: Literal["refusal"]
    patterns: tuple[str, ...] = Field(
        default=(
            r"^(i'?m|i am) (very |so |really |truly )?(sorry|afraid|unable)\b.{0,60}"
            r"\b(can'?t|can ?not|unable|not able|won'?t)\b",
            r"^(i apologi[sz]e|my apologies|sorry|unfortunately)\b.{0,80}\b(can'?t|can ?not|unable|not able|won'?t)\b",
            r"^i (can'?t|can ?not|won'?t|am not able to|am unable to|must decline to) "
            r"(help|assist|answer|provide|comply|fulfil|create|write|do|continue|support|discuss)\b",
            r"\bas an? (\w+ )?(ai|artificial intelligence|language model|large language model|virtual assistant)\b",
            r"\b(i am|i'?m) (just |only |merely )?an? (ai|artificial intelligence|(large )?language model)\b",
            r"\bi (was|am|have been) (trained|developed|created|built) by "
            r"(openai|anthropic|google|meta|deepseek|alibaba|mistral)\b",
            r"\bmy (knowledge|training)( data)? (cut-?off|ends|only goes up to)\b",
            r"^(很?抱歉|对不起|不好意思).{0,40}(无法|不能|不会|不知道|不具备|没有|未)",
            r"(作为|我是)(一个|一名|一种)?(人工智能|AI|(大型)?语言模型)",
        ),
        min_length=1,
        description="searched case-insensitively, straight apostrophes; what stands in the prompt too is a quotation. "
        "After Tulu 3's keyword filters (open-instruct, filter_dataset_by_keywords.py and filter_cutoff_date.py)",
    )

    @field_validator("patterns")
    @classmethod
    def _patterns_compile(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
        return patterns
