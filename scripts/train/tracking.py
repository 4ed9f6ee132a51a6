"""Report a training's numbers while it runs: to a file, and to TensorBoard, trackio or Weights & Biases.

A report holds times, so it is not an artifact and the trackers are not part of a recipe. The rule passes the trackers
(`trackers` of the configuration) and the folder through the environment. Without a folder nothing is reported.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.integrations import get_reporting_integration_callbacks

TRACKERS, FOLDER = "NEBULA_TRACKERS", "NEBULA_TRACKING"
"""Environment variables: names as in `report_to` of transformers, separated by commas; a folder named as the model."""
PROJECT = "nebulaexp"
METRICS = "metrics.jsonl"


def run_name() -> str | None:
    """The run's name in the trackers: that of its model; None if nothing is reported."""
    folder = os.environ.get(FOLDER)
    return Path(folder).name if folder else None


def trackers() -> list[TrainerCallback]:
    """The callbacks that report. Raises RuntimeError if the package of a tracker is not installed."""
    folder = os.environ.get(FOLDER)
    if not folder:
        return []
    names = [name for name in os.environ.get(TRACKERS, "").split(",") if name]
    os.environ["TENSORBOARD_LOGGING_DIR"] = os.environ["WANDB_DIR"] = folder
    os.environ.setdefault("WANDB_PROJECT", PROJECT)
    return [Metrics(Path(folder) / METRICS), *(kind() for kind in get_reporting_integration_callbacks(names))]


class Metrics(TrainerCallback):
    """Appends the values of each step to a file. A step that a resumed run repeats is there twice."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if not logs or not state.is_world_process_zero:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a") as file:
            file.write(json.dumps({"step": state.global_step, "time": round(time.time(), 3), **logs}) + "\n")
