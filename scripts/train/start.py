"""How a training process starts: imported before torch and TRL by every step, `ready()` is called by its `main`.

Importing them creates a million objects that live as long as the process. Without the collector walking over them
again and again the start takes a fifth less CPU time, which counts where trainings are short and many.
"""

from __future__ import annotations

import gc
import os
import warnings

gc.disable()
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # TRL reports every trainer it builds; read at its import


def ready() -> None:
    """Imports are done: collect garbage from here on, and let the libraries be quiet."""
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
    """DeepSpeed on CPUs talks through gloo as it is, for the same weights.

    Otherwise its first start on a machine compiles an extension of shared memory for a minute or two, and stops where
    there is no compiler. GPUs never use it.
    """
    import deepspeed

    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
