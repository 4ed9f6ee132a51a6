"""What the settings of all trainings, and of all trained models, have in common."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from scripts.common.settings import Settings


class Optimizer(Settings):
    """AdamW and its schedule, shared by all trainings."""

    tag: ClassVar[str]
    """The kind of training, as a tag of the model card."""
    method: ClassVar[str]
    """The kind of training, as the title of the model card."""

    learning_rate: float = Field(gt=0)
    schedule: Literal["linear", "cosine", "cosine_with_min_lr", "constant", "constant_with_warmup"]
    min_lr_ratio: float | None = Field(
        default=None, ge=0, le=1, description="final learning rate of cosine_with_min_lr, as a share of learning_rate"
    )
    warmup_ratio: float = Field(ge=0, lt=1, description="share of all steps")
    weight_decay: float = Field(ge=0)
    max_grad_norm: float = Field(gt=0)
    adam_beta2: float = Field(default=0.999, gt=0, lt=1)
    batch_size: int = Field(gt=0, description="sequences (or completions) per optimizer step, over all devices")
    micro_batch_size: int = Field(gt=0, description="sequences per forward pass and device")
    max_steps: int | None = Field(default=None, gt=0, description="null: as many as `epochs` give")
    epochs: float | None = Field(default=None, gt=0)
    bf16: bool = Field(description="mixed precision over float32 weights; the checkpoint is then bfloat16")
    gradient_checkpointing: bool
    attention: Literal["sdpa", "flash_attention_2", "flash_attention_3"] = "sdpa"
    save_steps: int = Field(gt=0, description="steps between the checkpoints that a killed job resumes from")

    @model_validator(mode="after")
    def _consistent(self) -> Optimizer:
        if (self.max_steps is None) == (self.epochs is None):
            raise ValueError("give exactly one of max_steps and epochs")
        if self.batch_size % self.micro_batch_size:
            raise ValueError(
                f"batch_size {self.batch_size} is not a multiple of micro_batch_size {self.micro_batch_size}"
            )
        if (self.min_lr_ratio is not None) != (self.schedule == "cosine_with_min_lr"):
            raise ValueError(f"min_lr_ratio belongs to schedule cosine_with_min_lr, but schedule is {self.schedule}")
        return self


class TrainedModel(Settings):
    """A model that the pipeline trains: an entry of `models` whose kind is not `hub`."""

    SETTINGS: ClassVar[type[Optimizer]]
    """The class of its resolved training settings."""

    kind: str
    dataset: str
    training: dict[str, Any] = Field(default={}, description="overrides of the defaults in `training.<kind>`")
    thinking: bool = Field(default=False, description="sampled and evaluated with thinking on")


class PostTrainedModel(TrainedModel):
    """A trained model whose weights start from another model's."""

    init: str
