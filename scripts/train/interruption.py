"""A training that is told to end soon saves where it is, so that its next attempt loses nothing.

SLURM sends SIGTERM before a walltime is over (`--signal`, see slurm/profile.yaml), at a preemption and at `scancel`.
"""

from __future__ import annotations

import signal
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

ENDED = 128 + signal.SIGTERM
"""Exit status of a process that SIGTERM ended, as shells count it."""


class Interruption(TrainerCallback):
    """Saves a checkpoint at the end of the step in which SIGTERM came, then ends the process.

    Add it last: by then the other callbacks have seen the checkpoint. Saving is a joint work of all processes, so they
    agree on the step, whichever of them the signal reached first.
    """

    def __init__(self) -> None:
        self._told = self._agreed = False
        self._before: Any = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._before = signal.signal(signal.SIGTERM, self._tell)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        told = torch.tensor(float(self._told), device=args.device)
        if args.world_size > 1:
            torch.distributed.all_reduce(told, torch.distributed.ReduceOp.MAX)
        self._agreed = bool(told.item())
        control.should_save |= self._agreed

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self._agreed:
            if state.is_world_process_zero:
                print(f"SIGTERM: saved at step {state.global_step}; the next attempt goes on from there", flush=True)
            raise SystemExit(ENDED)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        signal.signal(signal.SIGTERM, self._before)

    def _tell(self, number: int, frame: Any) -> None:
        self._told = True
