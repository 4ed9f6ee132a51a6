"""The machine that a job runs on, for the record of its run: nothing here is part of an artifact's identity."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

CPUINFO = Path("/proc/cpuinfo")
VECTOR_FLAGS = ("avx2", "fma", "avx512f", "avx512_bf16", "amx_tile", "asimd", "sve")
"""CPU flags by which numerical libraries choose their kernels, and so the order in which sums are taken."""


def hardware() -> dict[str, Any]:
    """Architecture, CPU model, its flags among VECTOR_FLAGS, number of CPUs, and the GPUs that the job may use."""
    model, flags = cpu(CPUINFO.read_text() if CPUINFO.is_file() else "")
    gpus = os.environ.get("CUDA_VISIBLE_DEVICES")
    return {
        "machine": platform.machine(),
        "cpu": model,
        "flags": flags,
        "cpus": os.cpu_count(),
        "gpus": gpus.split(",") if gpus else [],
    }


def cpu(info: str) -> tuple[str, list[str]]:
    """Model and vector flags of the first CPU in the text of /proc/cpuinfo.

    The model is `AMD EPYC (family 25, model 17)`: clouds shorten the name, and the two numbers still tell the
    generation. It is `unknown` if the text names none.
    """
    fields: dict[str, str] = {}
    for line in info.splitlines():
        key, colon, value = line.partition(":")
        if colon:
            fields.setdefault(key.strip(), value.strip())
    numbers = ", ".join(
        f"{label} {fields[key]}" for key, label in (("cpu family", "family"), ("model", "model")) if key in fields
    )
    name = fields.get("model name", "unknown")
    flags = (fields.get("flags") or fields.get("Features") or "").split()
    return f"{name} ({numbers})" if numbers else name, [flag for flag in VECTOR_FLAGS if flag in flags]
