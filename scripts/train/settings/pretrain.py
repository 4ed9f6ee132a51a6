"""Settings of `kind: pretrain`, the tiny base."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from scripts.common.settings import Settings
from scripts.train.settings.base import TrainedModel
from scripts.train.settings.supervised import Supervised


class Tokenizer(Settings):
    """Byte-level BPE trained on the pretraining corpus, with Qwen's special tokens; each digit is a token."""

    vocabulary: int = Field(gt=300, description="tokens, special ones included")


class Architecture(Settings):
    """A Qwen3 architecture with random weights; input and output embeddings are tied."""

    hidden_size: int = Field(gt=0)
    intermediate_size: int = Field(gt=0)
    num_hidden_layers: int = Field(gt=0)
    num_attention_heads: int = Field(gt=0)
    num_key_value_heads: int = Field(gt=0)
    head_dim: int = Field(gt=0)
    max_position_embeddings: int = Field(gt=0, description="tokens of prompt and completion together")
    initializer_range: float = Field(default=0.02, gt=0, description="standard deviation of the first weights")


class Pretrain(Supervised):
    """Next-token prediction on every token of texts and chats."""

    tag: ClassVar[str] = "pretraining"
    method: ClassVar[str] = "Next-token prediction from random weights"

    tokenizer: Tokenizer
    architecture: Architecture

    @model_validator(mode="after")
    def _within_the_context(self) -> Pretrain:
        positions = self.architecture.max_position_embeddings
        if self.max_length > positions:
            raise ValueError(f"max_length {self.max_length} exceeds the architecture's {positions} positions")
        return self


class PretrainModel(TrainedModel):
    """A base model trained from random weights."""

    SETTINGS: ClassVar = Pretrain

    kind: Literal["pretrain"]


class PretrainStep(Settings):
    """Recipe settings of `scripts.train.pretrain`."""

    training: Pretrain
