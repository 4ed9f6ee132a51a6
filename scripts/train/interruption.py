"""A training that gets SIGTERM saves a checkpoint before it ends, so that its next attempt repeats no step.

SLURM sends SIGTERM before a walltime is over (`--signal`, see slurm/profile.yaml), at a preemption and at `scancel`.
"""

from __future__ import annotations

import signal
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

ENDED = 128 + signal.SIGTERM
"""Exit status of a process that SIGTERM ended, as shells report it."""


class Interruption(TrainerCallback):
    """Saves a checkpoint at the end of the step in which SIGTERM came, then ends the process.

    It must be the last callback, so that the others have handled the checkpoint before the process ends. Saving is
    collective, and the signal reaches the processes at different times, so they agree on the step by a reduction.
    """

    def __init__(self) -> None:
        self._signalled = self._agreed = False
        self._previous_handler: Any = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._previous_handler = signal.signal(signal.SIGTERM, self._handle)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        signalled = torch.tensor(float(self._signalled), device=args.device)
        if args.world_size > 1:
            torch.distributed.all_reduce(signalled, torch.distributed.ReduceOp.MAX)
        self._agreed = bool(signalled.item())
        control.should_save |= self._agreed

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self._agreed:
            if state.is_world_process_zero:
                print(f"SIGTERM: saved at step {state.global_step}; the next attempt resumes from it", flush=True)
            raise SystemExit(ENDED)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        signal.signal(signal.SIGTERM, self._previous_handler)

    def _handle(self, number: int, frame: Any) -> None:
        self._signalled = True
