"""Settings of `kind: grpo`, reinforcement learning on verified answers."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from scripts.common.settings import Settings
from scripts.train.settings.base import PostTrainedModel
from scripts.train.settings.on_policy import OnPolicy
from scripts.verify.settings import VerifySettings


class Grpo(OnPolicy):
    """Group relative policy optimisation (arXiv 2402.03300) on the verifiers' rewards."""

    tag: ClassVar[str] = "grpo"
    method: ClassVar[str] = "Group relative policy optimisation on rewards of verifiers"

    group_size: int = Field(gt=1, description="completions per prompt")
    loss: Literal["grpo", "dapo", "dr_grpo", "bnpo"]
    scale_rewards: Literal["group", "batch", "none"]
    epsilon: float = Field(gt=0)
    epsilon_high: float = Field(gt=0, description="clip-higher (DAPO, arXiv 2503.14476)")
    beta: float = Field(ge=0, description="weight of the KL to the initial policy; 0 loads no reference")
    mask_truncated: bool = Field(description="completions cut at the length limit give no gradient")
    importance_correction: Literal["none", "token_truncate", "token_mask", "sequence_truncate", "sequence_mask"] = (
        Field(
            default="token_truncate",
            description="vLLM's probabilities differ from the trainer's: each token's (or sequence's) gradient is "
            "weighted by the ratio of the two, cut at `importance_cap` (truncate) or left out above it (mask)",
        )
    )
    importance_cap: float = Field(default=2.0, gt=1)

    @model_validator(mode="after")
    def _whole_groups(self) -> Grpo:
        if self.batch_size % self.group_size:
            raise ValueError(f"batch_size {self.batch_size} is not a multiple of group_size {self.group_size}")
        return self


class GrpoModel(PostTrainedModel):
    """Reinforced from `init` on the prompts of `dataset`."""

    SETTINGS: ClassVar = Grpo

    kind: Literal["grpo"]


class GrpoStep(Settings):
    """Recipe settings of `scripts.train.grpo`."""

    training: Grpo
    thinking: bool
    verify: VerifySettings
