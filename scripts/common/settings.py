"""The base of all settings, and the settings that several stages share.

A stage's settings live in `scripts/<stage>/settings.py`, or in one module per step under `scripts/<stage>/settings/`,
so that a change of one step's settings reruns that step alone; `scripts/workflow/config.py` composes them into the
model of the whole configuration. A default is written in these models or in the YAML files, never at a call site.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Domain = Literal["math", "code", "instruction", "knowledge", "general"]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
DOMAINS: tuple[Domain, ...] = ("math", "code", "instruction", "knowledge", "general")


class Settings(BaseModel):
    """Base model: instances are frozen, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Sampling(Settings):
    """Sampling parameters of one completion."""

    temperature: float = Field(ge=0.0, description="0 is greedy decoding")
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    top_k: int = Field(default=0, ge=0, description="0 keeps the whole vocabulary")
    presence_penalty: float = Field(
        default=0.0,
        ge=-2.0,
        le=2.0,
        description="subtracted from the logit of every token that the completion already contains",
    )
    max_tokens: int = Field(gt=0, description="new tokens per completion")


class Engine(Settings):
    """The generation engine, and its settings that can change the text."""

    kind: Literal["transformers", "vllm", "vllm-server"]
    dtype: Literal["float32", "bfloat16"]
    batch_size: int = Field(
        default=256, gt=0, description="sequences decoded together (transformers, and each server of vllm-server)"
    )
    shard_size: int = Field(
        default=4096, gt=0, description="prompts per shard; a killed job resumes at the first unfinished shard"
    )
