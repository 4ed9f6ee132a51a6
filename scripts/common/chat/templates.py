"""Prompt templates of the configuration: a text in which `{prompt}` stands for the record's prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator

if TYPE_CHECKING:  # the configuration reads this module, and records import pyarrow
    from scripts.common.records import Message

PROMPT = "{prompt}"
"""Placeholder of the record's prompt."""


def _has_the_prompt(template: str) -> str:
    if PROMPT not in template:
        raise ValueError(f"the template has no {PROMPT}: the record's prompt would not reach the model")
    return template


PromptTemplate = Annotated[str, AfterValidator(_has_the_prompt)]
"""Type of a setting that holds a template: a text without `{prompt}` is an error of the configuration."""


def apply_template(prompt: Sequence[Message], template: str | None) -> list[Message]:
    """The messages of a prompt with the template around the last one; unchanged if there is no template."""
    if template is None or not prompt:
        return list(prompt)
    *before, last = prompt
    return [*before, {"role": last["role"], "content": template.replace(PROMPT, last["content"])}]
