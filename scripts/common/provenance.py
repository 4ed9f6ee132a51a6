"""The machine and the checkout that make an artifact, for the record of the run.

Nothing here can change an artifact, so an edit reruns nothing (`EXECUTION_ONLY` in `scripts.common.fingerprint`).
"""

from __future__ import annotations

import os
import platform
import resource
from pathlib import Path
from typing import Any

from scripts.common.artifacts import read_json, run_path
from scripts.common.fingerprint import ROOT

CPUINFO = Path("/proc/cpuinfo")
VECTOR_FLAGS = ("avx2", "fma", "avx512f", "avx512_bf16", "amx_tile", "asimd", "sve")
"""CPU flags by which numerical libraries choose their kernels, and so the order of their floating-point sums."""


def commit() -> str | None:
    """The project's commit, which Snakemake puts into NEBULA_COMMIT; None if a step is run by hand without it."""
    return os.environ.get("NEBULA_COMMIT")


def dirty() -> bool | None:
    """Whether the project had uncommitted changes; None if NEBULA_DIRTY is not set."""
    return {"true": True, "false": False}.get(os.environ.get("NEBULA_DIRTY", ""))


def image() -> str | None:
    """Digest of the container image that this step runs in, from the image's build record; None outside an image."""
    built = run_path(ROOT / "containers" / Path(os.environ.get("APPTAINER_CONTAINER", "none")).name)
    return read_json(built)["output"] if built.is_file() else None


def hardware() -> dict[str, Any]:
    """Architecture, CPU model, the CPU's flags that VECTOR_FLAGS lists, number of CPUs, and the job's GPUs."""
    model, flags = cpu(CPUINFO.read_text() if CPUINFO.is_file() else "")
    gpus = os.environ.get("CUDA_VISIBLE_DEVICES")
    return {
        "machine": platform.machine(),
        "cpu": model,
        "flags": flags,
        "cpus": os.cpu_count(),
        "gpus": gpus.split(",") if gpus else [],
    }


def exceptions(machine: dict[str, Any]) -> list[str]:
    """Why portable numerics (`scripts.common.numerics`) do not hold on hardware; empty if they do."""
    if machine["machine"] != "x86_64":
        return [f"{machine['machine']} is another architecture than x86-64"]
    missing = [f"the CPU has no {flag}" for flag in ("avx2", "fma") if flag not in machine["flags"]]
    return missing + (["GPUs, whose numbers depend on their kind, may have been used"] if machine["gpus"] else [])


def cpu(info: str) -> tuple[str, list[str]]:
    """Model and vector flags of the first CPU in the text of /proc/cpuinfo.

    The model reads `AMD EPYC (family 25, model 17)`: clouds shorten the name, and the two numbers still identify the
    generation. It is `unknown` if the text names no model.
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


def peak_bytes() -> int:
    """The largest resident memory, in bytes, of this process or of a child that has ended."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(kind).ru_maxrss for kind in kinds) * 1024  # Linux counts in KiB
