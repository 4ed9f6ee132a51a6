"""Settings that the trainings on the policy's own samples share (GRPO and on-policy distillation)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from scripts.common.settings import Settings
from scripts.train.settings.base import Optimizer


class Rollout(Settings):
    """How the policy samples completions during training."""

    temperature: float = Field(gt=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    max_prompt_tokens: int = Field(gt=0, description="longer prompts are dropped and counted")
    max_completion_tokens: int = Field(gt=0)
    engine: Literal["transformers", "vllm-colocate", "vllm-server"]
    gpu_memory: float = Field(
        default=0.5, gt=0, lt=1, description="vllm-colocate: share of each GPU that the engine has while it samples"
    )


class OnPolicy(Optimizer):
    """A training on completions that the policy samples at each step."""

    rollout: Rollout
