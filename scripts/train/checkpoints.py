"""The checkpoints that a killed training resumes from: where they are, and which of them are complete."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

COMPLETE = "complete"
"""File that is written into a checkpoint after everything else: a checkpoint without it was cut off by a kill."""


def checkpoints(work: Path) -> Path:
    """Folder of a run's checkpoints."""
    return work / "checkpoints"


def last_checkpoint(work: Path) -> Path | None:
    """The newest complete checkpoint; None if there is none."""
    complete = [file.parent for file in checkpoints(work).glob(f"checkpoint-*/{COMPLETE}")]
    return max(complete, key=lambda folder: int(folder.name.rpartition("-")[2]), default=None)


class MarkComplete(TrainerCallback):
    """Marks a checkpoint as complete once every process has written its part."""

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if torch.distributed.is_initialized():
            torch.distributed.barrier()  # each process writes the state of its own random generators
        if state.is_world_process_zero:
            (Path(str(args.output_dir)) / f"checkpoint-{state.global_step}" / COMPLETE).touch()
