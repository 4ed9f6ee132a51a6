"""Settings of `kind: sft`, supervised fine-tuning."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from scripts.common.settings import Settings
from scripts.train.settings.base import PostTrainedModel
from scripts.train.settings.supervised import Supervised


class Sft(Supervised):
    """Supervised fine-tuning, with a loss on the tokens of the last assistant turn alone."""

    tag: ClassVar[str] = "sft"
    method: ClassVar[str] = "Supervised fine-tuning, loss on the last assistant's turn"

    max_position_embeddings: int | None = Field(
        default=None,
        gt=0,
        description="positions that the checkpoint's config.json states; null: those of `init` (RoPE has no weights)",
    )


class SftModel(PostTrainedModel):
    """Fine-tuned from `init` on `dataset`."""

    SETTINGS: ClassVar = Sft

    kind: Literal["sft"]


class SftStep(Settings):
    """Recipe settings of `scripts.train.sft`."""

    training: Sft
