"""Settings of training: a model is `hub`, `pretrain`, `sft`, `grpo` or `opd`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from scripts.common.settings import Domain, Settings
from scripts.verify.settings import VerifySettings


class Tokenizer(Settings):
    """Byte-level BPE trained on the pretraining corpus, with Qwen's special tokens; digits stand alone."""

    vocabulary: int = Field(gt=300, description="tokens, special ones included")


class Architecture(Settings):
    """A Qwen3 architecture made from nothing (the tiny base); input and output embeddings are tied."""

    hidden_size: int = Field(gt=0)
    intermediate_size: int = Field(gt=0)
    num_hidden_layers: int = Field(gt=0)
    num_attention_heads: int = Field(gt=0)
    num_key_value_heads: int = Field(gt=0)
    head_dim: int = Field(gt=0)
    max_position_embeddings: int = Field(gt=0, description="tokens of prompt and completion together")
    initializer_range: float = Field(default=0.02, gt=0, description="standard deviation of the first weights")


class Optimizer(Settings):
    """AdamW and its schedule, shared by all trainings."""

    learning_rate: float = Field(gt=0)
    schedule: Literal["linear", "cosine", "cosine_with_min_lr", "constant", "constant_with_warmup"]
    min_lr_ratio: float | None = Field(default=None, ge=0, le=1, description="cosine_with_min_lr's floor")
    warmup_ratio: float = Field(ge=0, lt=1, description="share of all steps")
    weight_decay: float = Field(ge=0)
    max_grad_norm: float = Field(gt=0)
    adam_beta2: float = Field(default=0.999, gt=0, lt=1)
    batch_size: int = Field(gt=0, description="sequences (or completions) an optimizer step, over all devices")
    micro_batch_size: int = Field(gt=0, description="sequences a forward pass and device")
    max_steps: int | None = Field(default=None, gt=0, description="null: as many as `epochs` give")
    epochs: float | None = Field(default=None, gt=0)
    bf16: bool = Field(description="mixed precision over float32 weights; the checkpoint is then bfloat16")
    gradient_checkpointing: bool
    attention: Literal["sdpa", "flash_attention_2", "flash_attention_3"] = "sdpa"
    save_steps: int = Field(gt=0, description="steps between checkpoints that a killed job resumes from")

    @model_validator(mode="after")
    def _consistent(self) -> Optimizer:
        if (self.max_steps is None) == (self.epochs is None):
            raise ValueError("give exactly one of max_steps and epochs")
        if self.batch_size % self.micro_batch_size:
            raise ValueError(f"batch_size {self.batch_size} is no multiple of micro_batch_size {self.micro_batch_size}")
        if (self.min_lr_ratio is not None) != (self.schedule == "cosine_with_min_lr"):
            raise ValueError(f"min_lr_ratio belongs to schedule cosine_with_min_lr, which is {self.schedule}")
        return self


class Supervised(Optimizer):
    """Next-token prediction on given sequences."""

    max_length: int = Field(gt=0, description="tokens a sequence; longer ones are dropped and counted")
    packing: bool = Field(
        description="sequences share rows of max_length tokens without seeing each other (batch sizes then count rows; "
        "micro_batch_size 1 is best without flash attention); otherwise a micro batch holds sequences of like length"
    )


class Pretrain(Supervised):
    """Next-token prediction on every token of texts and chats: the tiny base."""

    tokenizer: Tokenizer
    architecture: Architecture

    @model_validator(mode="after")
    def _within_the_context(self) -> Pretrain:
        positions = self.architecture.max_position_embeddings
        if self.max_length > positions:
            raise ValueError(f"max_length {self.max_length} exceeds the architecture's {positions} positions")
        return self


class Sft(Supervised):
    """Supervised fine-tuning, loss on the assistant's tokens alone."""

    max_position_embeddings: int | None = Field(
        default=None, gt=0, description="positions that the checkpoint states; null: those of `init` (RoPE trains none)"
    )


class Rollout(Settings):
    """How the policy samples during GRPO and on-policy distillation."""

    temperature: float = Field(gt=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    max_prompt_tokens: int = Field(gt=0, description="longer prompts are dropped and counted")
    max_completion_tokens: int = Field(gt=0)
    engine: Literal["transformers", "vllm-colocate", "vllm-server"]
    gpu_memory: float = Field(
        default=0.5, gt=0, lt=1, description="vllm-colocate: share of each GPU that the engine has while it samples"
    )


class Grpo(Optimizer):
    """Group relative policy optimisation (arXiv 2402.03300) on the verifiers' rewards."""

    rollout: Rollout
    group_size: int = Field(gt=1, description="completions a prompt")
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
            raise ValueError(f"batch_size {self.batch_size} is no multiple of group_size {self.group_size}")
        return self


class Opd(Optimizer):
    """On-policy distillation: reverse KL to a teacher on the student's own samples."""

    rollout: Rollout
    beta: float = Field(ge=0, le=1, description="1: reverse KL, 0: forward KL, between: generalised JSD")
    estimate: Literal["vocabulary", "sampled-token"] = Field(
        default="vocabulary",
        description="vocabulary: the divergence itself; sampled-token: reverse KL by the log ratio of the token drawn, "
        "a policy gradient with the same mean and more noise",
    )
    teacher_temperature: float = Field(
        default=1.0, gt=0, description="of the teacher's distribution; the student's is the rollout's"
    )
    teacher_engine: Literal["transformers", "vllm-server"] = Field(
        default="transformers",
        description="transformers: teachers beside the student; vllm-server: those of serving.urls, asked for the "
        "probabilities of the student's tokens (estimate sampled-token)",
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
            raise ValueError(f"estimate sampled-token is of the reverse KL: beta must be 1, which is {self.beta}")
        return self


class HubModel(Settings):
    """A checkpoint of the hub, pinned to a commit."""

    kind: Literal["hub"]
    repository: str = Field(description="owner/name")
    revision: str = Field(pattern=r"^[0-9a-f]{40}$", description="40 hex digits, never a branch")
    thinking: bool = False


class PretrainModel(Settings):
    """A base made by the pipeline."""

    kind: Literal["pretrain"]
    dataset: str
    training: dict[str, Any] = Field(default={}, description="what differs from `training.pretrain`")
    thinking: bool = False


class SftModel(Settings):
    """Fine-tuned from `init` on `dataset`."""

    kind: Literal["sft"]
    init: str
    dataset: str
    training: dict[str, Any] = Field(default={}, description="what differs from `training.sft`")
    thinking: bool = Field(default=False, description="evaluated with thinking on; the data decides what it learns")


class GrpoModel(Settings):
    """Reinforced from `init` on the prompts of `dataset`."""

    kind: Literal["grpo"]
    init: str
    dataset: str
    training: dict[str, Any] = Field(default={}, description="what differs from `training.grpo`")
    thinking: bool = False


class OpdModel(Settings):
    """Distilled on-policy from one teacher, or from one a domain."""

    kind: Literal["opd"]
    init: str
    dataset: str
    teacher: str | None = None
    teachers: dict[Domain, str] | None = Field(default=None, description="a teacher for each domain of the data")
    training: dict[str, Any] = Field(default={}, description="what differs from `training.opd`")
    thinking: bool = False

    @model_validator(mode="after")
    def _one_kind(self) -> OpdModel:
        if (self.teacher is None) == (self.teachers is None):
            raise ValueError("give either `teacher` (OPD) or `teachers` (MOPD)")
        return self


Model = Annotated[HubModel | PretrainModel | SftModel | GrpoModel | OpdModel, Field(discriminator="kind")]


class Training(Settings):
    """The settings each kind of training starts from; a model's `training` states what differs."""

    pretrain: dict[str, Any] | None = None
    sft: dict[str, Any]
    grpo: dict[str, Any]
    opd: dict[str, Any]


class PretrainStep(Settings):
    """What `scripts.train.pretrain` reads from its recipe."""

    training: Pretrain


class SftStep(Settings):
    """What `scripts.train.sft` reads from its recipe."""

    training: Sft


class GrpoStep(Settings):
    """What `scripts.train.grpo` reads from its recipe."""

    training: Grpo
    thinking: bool
    verify: VerifySettings


class OpdStep(Settings):
    """What `scripts.train.opd` reads from its recipe."""

    training: Opd
    thinking: bool
