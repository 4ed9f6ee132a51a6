"""TRL's arguments that pretraining and supervised fine-tuning share."""

from __future__ import annotations

from typing import Any

from scripts.train.settings.supervised import Supervised


def supervised_arguments(settings: Supervised) -> dict[str, Any]:
    """SFTConfig's arguments for rows of token ids: packed, or micro batches of sequences of like length."""
    if settings.packing:
        return {"packing": True, "max_length": settings.max_length}
    return {
        "max_length": None,
        "dataset_kwargs": {"skip_prepare_dataset": True},
        "train_sampling_strategy": "batch_rebalance",
    }
