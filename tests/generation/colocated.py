"""Run a training step with vLLM in its process, on a machine without a GPU.

Run: `python -m tests.generation.colocated grpo ...`

Two features of vLLM 0.31 prevent that on a CPU and are switched off here. Sleep: an engine without a GPU refuses it.
Packed matrix products: their kernels pack the weights when they are loaded, so new weights cannot be written; torch's
product is used instead. Everything else is as on a GPU.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

import torch


def unpacked(layer: torch.nn.Module, remove_weight: bool) -> None:
    """In place of vllm's dispatch_cpu_unquantized_gemm."""
    layer.cpu_linear = torch.nn.functional.linear  # type: ignore[assignment]


def main() -> None:
    """The step of that name, with the other arguments."""
    step = importlib.import_module(f"scripts.train.{sys.argv.pop(1)}")
    if not torch.cuda.is_available():
        from vllm.model_executor.layers import utils

        from scripts.train import policy

        stated = policy.engine_arguments

        def awake(*arguments: Any) -> dict[str, Any]:
            return stated(*arguments) | {"vllm_enable_sleep_mode": False}

        policy.engine_arguments = awake
        utils.dispatch_cpu_unquantized_gemm = unpacked
    step.main()


if __name__ == "__main__":
    main()
