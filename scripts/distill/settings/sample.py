"""Settings of `scripts.distill.sample`."""

from __future__ import annotations

from pydantic import Field

from scripts.common.chat.templates import PromptTemplate
from scripts.common.settings import Domain, Engine, Sampling, Settings


class Draw(Settings):
    """How samples are drawn for the prompts of a pool."""

    samples: int = Field(gt=0, description="responses per prompt and model")
    sampling: Sampling
    thinking: bool
    prompts: int | None = Field(default=None, gt=0, description="at most this many prompts (first by id); null: all")
    templates: dict[Domain, PromptTemplate] = Field(
        default={},
        description="by domain, a text around the last turn of the prompt ({prompt}); the record keeps its own prompt",
    )


class SampleSettings(Settings):
    """Recipe settings of `scripts.distill.sample`."""

    responses: Draw
    engine: Engine
    only_verifiable: bool = Field(default=False, description="drop prompts that have no verifier (grading)")
