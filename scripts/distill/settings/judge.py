"""Settings of `scripts.distill.judge`."""

from __future__ import annotations

import re

from pydantic import Field, model_validator

from scripts.common.chat.templates import PROMPT
from scripts.common.settings import Engine, Sampling, Settings

RESPONSE = "{response}"
"""Placeholder of the response in a judge's template."""


class Judge(Settings):
    """A model that scores candidates: the last match of `pattern` in its judgement, scaled from 0 to 1."""

    model: str
    template: str = Field(
        description="the question put to the judge; {prompt} and {response} (without thinking) are filled in"
    )
    pattern: str = Field(description="regular expression with one group: the score; the last match counts")
    lowest: float = Field(description="score that becomes 0")
    highest: float = Field(description="score that becomes 1")
    sampling: Sampling
    thinking: bool

    @model_validator(mode="after")
    def _scores_can_be_read(self) -> Judge:
        if missing := [name for name in (PROMPT, RESPONSE) if name not in self.template]:
            raise ValueError(f"the template has no {' and no '.join(missing)}: the judge would not see it")
        try:
            groups = re.compile(self.pattern).groups
        except re.error as error:
            raise ValueError(f"pattern is not a regular expression: {error}") from None
        if groups != 1:
            raise ValueError(f"pattern must have one group, the score; it has {groups}")
        if self.lowest >= self.highest:
            raise ValueError(f"lowest {self.lowest} must be below highest {self.highest}")
        return self


class JudgeSettings(Settings):
    """Recipe settings of `scripts.distill.judge`: the judge, and whose responses it scores."""

    judge: Judge
    teachers: tuple[str, ...]
    keep_original: bool
    prompts: int | None
    engine: Engine
