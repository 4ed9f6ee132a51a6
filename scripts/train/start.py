"""Start a training process faster: a step imports this module before torch and TRL, and its `main` calls `ready()`.

These imports create a million objects that live as long as the process. Garbage collection is off meanwhile, since it
would walk over them again and again: a start then takes a fifth less CPU time, which counts if trainings are short.
"""

from __future__ import annotations

import gc
import os
import warnings

gc.disable()
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # TRL reports every trainer it builds; read at its import


def ready() -> None:
    """Turn garbage collection on after the imports, and silence the libraries."""
    from datasets import disable_progress_bars
    from transformers.utils import logging

    gc.freeze()
    gc.enable()
    warnings.filterwarnings("ignore", message=".*gradient_checkpointing.* is deprecated")  # TRL 1.16 still reads it
    disable_progress_bars()
    logging.disable_progress_bar()
    if os.environ.get("ACCELERATE_USE_DEEPSPEED") == "true":
        _plain_gloo()


def _plain_gloo() -> None:
    """Keep DeepSpeed on CPUs from compiling its shared-memory extension; it communicates through gloo instead.

    Compiling takes a minute or two at the first start on a machine, and fails without a compiler. The weights are the
    same. GPUs never use the extension.
    """
    import deepspeed

    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
