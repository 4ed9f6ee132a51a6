"""A training step's own command, with vLLM in its process, without a GPU.

Run: `python -m tests.generation.colocated grpo ...`

Two things of vLLM 0.31 forbid that on a CPU, and are left out here: sleep, which an engine without a GPU refuses, and
matrix products by kernels that pack the weights once, when they are loaded, and leave nothing that others could be
written to. torch's own product takes the weights as they are. All else is as it runs on a GPU.
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

        def awake(*given: Any) -> dict[str, Any]:
            return stated(*given) | {"vllm_enable_sleep_mode": False}

        policy.engine_arguments = awake
        utils.dispatch_cpu_unquantized_gemm = unpacked
    step.main()


if __name__ == "__main__":
    main()
