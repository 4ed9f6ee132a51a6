"""Settings that pretraining and supervised fine-tuning share."""

from __future__ import annotations

from pydantic import Field

from scripts.train.settings.base import Optimizer


class Supervised(Optimizer):
    """Next-token prediction on given sequences."""

    max_length: int = Field(gt=0, description="tokens per sequence; longer ones are dropped and counted")
    packing: bool = Field(
        description="sequences share rows of max_length tokens without seeing each other (batch sizes then count rows; "
        "micro_batch_size 1 is best without flash attention); otherwise a micro batch holds sequences of like length"
    )
