"""How far a training is: a line in the step's log every few seconds, and `progress.json` in its work folder."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from scripts.common.artifacts import write_json

SECONDS_BETWEEN_LINES = 5.0
SHOWN = {
    "loss": ".4f",
    "reward": ".4f",
    "speed/tokens_per_second": ",.0f",
    "speed/mfu": ".3f",
    "speed/memory_gb": ".1f",
}
"""Which values of a step's log are shown, and their formats."""


class Progress(TrainerCallback):
    """Writes the line and the file. It comes after the meter, which adds `speed/...` to a step's log."""

    def __init__(self, work: Path) -> None:
        self._file = work / "progress.json"
        self._start = self._last_line = 0.0  # seconds of the monotonic clock
        self._first_step = 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._start, self._first_step = time.monotonic(), state.global_step
        self._file.parent.mkdir(parents=True, exist_ok=True)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if not logs or "loss" not in logs or not state.is_world_process_zero:
            return
        now = time.monotonic()
        if now - self._last_line >= SECONDS_BETWEEN_LINES or state.global_step == state.max_steps:
            self._last_line = now
            self._report(state, logs, now)

    def _report(self, state: TrainerState, logs: dict[str, Any], now: float) -> None:
        shown = {name: logs[name] for name in SHOWN if name in logs}
        rate = (state.global_step - self._first_step) / max(now - self._start, 1e-9)
        values = " ".join(f"{name.removeprefix('speed/')} {value:{SHOWN[name]}}" for name, value in shown.items())
        print(f"step {state.global_step}/{state.max_steps} {values} {rate:.2f} steps/s", file=sys.stderr, flush=True)
        write_json(self._file, {"step": state.global_step, "steps": state.max_steps, **shown})
