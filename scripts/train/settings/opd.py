"""Settings of `kind: opd`, on-policy distillation."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from scripts.common.settings import Domain, Settings
from scripts.train.settings.base import PostTrainedModel
from scripts.train.settings.on_policy import OnPolicy


class Opd(OnPolicy):
    """On-policy distillation: reverse KL to a teacher on the student's own samples."""

    tag: ClassVar[str] = "opd"
    method: ClassVar[str] = "On-policy distillation: the teachers' distributions on the student's own samples"

    beta: float = Field(ge=0, le=1, description="1: reverse KL, 0: forward KL, between: generalised JSD")
    estimate: Literal["vocabulary", "sampled-token"] = Field(
        default="vocabulary",
        description="vocabulary: the divergence itself; sampled-token: reverse KL by the log ratio of the sampled "
        "token, a policy gradient with the same mean and more noise",
    )
    teacher_temperature: float = Field(
        default=1.0, gt=0, description="of the teacher's distribution; the student's is the rollout's"
    )
    teacher_engine: Literal["transformers", "vllm-server"] = Field(
        default="transformers",
        description="transformers: teachers beside the student; vllm-server: the servers of serving.urls, which return "
        "the probabilities of the student's tokens (estimate sampled-token)",
    )

    @model_validator(mode="after")
    def _reverse(self) -> Opd:
        served = self.teacher_engine == "vllm-server"
        if served and (self.estimate != "sampled-token" or self.teacher_temperature != 1):
            raise ValueError(
                "teacher_engine vllm-server gives the probability of the sampled token at temperature 1: set estimate "
                f"to sampled-token (is {self.estimate}) and teacher_temperature to 1 (is "
                f"{self.teacher_temperature:g}), or teacher_engine to transformers"
            )
        if self.estimate == "sampled-token" and self.beta != 1:
            raise ValueError(f"estimate sampled-token estimates the reverse KL: set beta to 1 (is {self.beta})")
        return self


class OpdModel(PostTrainedModel):
    """Distilled on-policy from one teacher, or from one teacher per domain."""

    SETTINGS: ClassVar = Opd

    kind: Literal["opd"]
    teacher: str | None = None
    teachers: dict[Domain, str] | None = Field(default=None, description="a teacher for each domain of the data")

    @model_validator(mode="after")
    def _one_kind(self) -> OpdModel:
        if (self.teacher is None) == (self.teachers is None):
            raise ValueError("give either `teacher` (OPD) or `teachers` (MOPD)")
        return self


class OpdStep(Settings):
    """Recipe settings of `scripts.train.opd`."""

    training: Opd
    thinking: bool
