"""A training that is resumed in a later epoch reads the rows in that epoch's order, not in the first epoch's.

When Trainer resumes, it skips the batches that the epoch has already used, in the order that the sampler gives. Two
samplers give the first epoch's order again. TRL's `RepeatSampler` (1.16) shuffles with a generator that a new process
starts from the seed. `BatchRebalanceSampler` needs `set_epoch`, which Transformers (5.23) no longer calls after
skipping if there are several processes.
"""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments


class ResumeSampler(TrainerCallback):
    """Moves the sampler to the epoch in which training starts. It reaches the later epochs by itself."""

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        epoch, sampler = int(state.epoch or 0), innermost(kwargs["train_dataloader"].batch_sampler)
        if hasattr(sampler, "set_epoch"):
            sampler.set_epoch(epoch)
            return
        for _ in range(epoch):
            next(iter(sampler))  # draws one epoch's permutation


def innermost(sampler: Any) -> Any:
    """The sampler that draws rows, inside those that form batches and distribute them over processes."""
    inner = getattr(sampler, "batch_sampler", None) or getattr(sampler, "sampler", None)
    return sampler if inner is None else innermost(inner)
