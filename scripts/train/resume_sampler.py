"""A resumed training goes on in its epoch's own order of rows, not in the first epoch's.

Trainer skips the batches that the epoch has already seen, in the order of the sampler it finds. TRL's `RepeatSampler`
(1.16) shuffles from a generator that starts anew with the process; a sampler that is told its epoch
(`BatchRebalanceSampler`) is reached by Transformers (5.23) in a single process only, once batches are skipped.
"""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments


class ResumeSampler(TrainerCallback):
    """Brings the sampler to the epoch in which training starts; the epochs after it follow by themselves."""

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        epoch, sampler = int(state.epoch or 0), innermost(kwargs["train_dataloader"].batch_sampler)
        if hasattr(sampler, "set_epoch"):
            sampler.set_epoch(epoch)
            return
        for _ in range(epoch):
            next(iter(sampler))  # draws an epoch's permutation


def innermost(sampler: Any) -> Any:
    """What draws the rows, below the samplers that make batches of them and share those among processes."""
    inner = getattr(sampler, "batch_sampler", None) or getattr(sampler, "sampler", None)
    return sampler if inner is None else innermost(inner)
