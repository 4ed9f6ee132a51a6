"""Measure a training: tokens per second, model FLOP utilisation (MFU) and memory.

These figures describe a machine and not a model, so they go to the trackers, the notes of the run's record and the
step's log, and never into an artifact.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Sequence
from typing import Any

import torch
from transformers import PreTrainedConfig, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from scripts.common.flops import peak_flops, training_flops

TOKENS = "num_tokens"
"""Trainer's log entry that counts the tokens of all processes since the start."""


def flops_per_token(config: PreTrainedConfig, parameters: int, lengths: Sequence[int]) -> float:
    """FLOP of training on one token of sequences of these lengths (tokens), on average."""
    width = config.num_attention_heads * config.head_dim
    return training_flops(parameters, config.num_hidden_layers, width, mean_context(lengths))


def mean_context(lengths: Sequence[int]) -> float:
    """Mean number of tokens before a token of the sequences: sum of l (l - 1) / 2 over sum of l."""
    return sum(length * (length - 1) for length in lengths) / (2 * sum(lengths))


def device_peak() -> float | None:
    """Peak FLOP/s of this process's GPU; None on a CPU, or if the GPU's peak is not known."""
    return peak_flops(torch.cuda.get_device_name()) if torch.cuda.is_available() else None


def peak_memory_gb() -> float:
    """Peak memory allocated on this process's GPU; without a GPU, the process's peak resident memory."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9  # Linux counts in KiB


class Meter(TrainerCallback):
    """Adds `speed/*` to `logs` after Trainer has written its history, so only later callbacks see them.

    The first step of a process is left out, since it compiles, allocates and waits for the data. `flops` is the FLOP
    of training on one token; None if a step also samples, since its time then says nothing about utilisation.
    """

    def __init__(self, flops: float | None) -> None:
        peak = device_peak()
        self._share = flops / peak if flops and peak else None
        self._points: list[tuple[float, float]] = []  # (seconds, tokens) after the first step and the last two
        self._processes = 1

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if logs is None or TOKENS not in logs:
            return
        self._processes = args.world_size
        self._points = [*self._points[:1], *self._points[-1:], (time.monotonic(), float(logs[TOKENS]))]
        logs["speed/memory_gb"] = peak_memory_gb()
        if len(self._points) == 3:
            logs |= {f"speed/{name}": value for name, value in self._since(self._points[1]).items()}

    def notes(self) -> dict[str, float]:
        """Means over all steps but the first, and peak memory."""
        means = self._since(self._points[0]) if len(self._points) == 3 else {}
        return {name: round(value, 4) for name, value in means.items()} | {"memory_gb": round(peak_memory_gb(), 3)}

    def _since(self, point: tuple[float, float]) -> dict[str, float]:
        """Tokens per second and MFU from `point` to the last one."""
        seconds, tokens = (last - first for first, last in zip(point, self._points[-1], strict=True))
        rate = tokens / max(seconds, 1e-9)
        utilisation = {"mfu": rate * self._share / self._processes} if self._share else {}
        return {"tokens_per_second": rate, **utilisation}
