"""Where and by whom an artifact is made: what a run's record says besides its recipe and inputs.

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


def commit() -> str | None:
    """The project's commit as Snakemake read it; None if a step runs by hand without NEBULA_COMMIT."""
    return os.environ.get("NEBULA_COMMIT")


def dirty() -> bool | None:
    """Whether the project had uncommitted changes; None if NEBULA_DIRTY is not set."""
    return {"true": True, "false": False}.get(os.environ.get("NEBULA_DIRTY", ""))


def image() -> str | None:
    """Digest of the image that this step runs in, as the image's build recorded it; None outside an image."""
    built = run_path(ROOT / "containers" / Path(os.environ.get("APPTAINER_CONTAINER", "none")).name)
    return read_json(built)["output"] if built.is_file() else None


def hardware() -> dict[str, Any]:
    """The machine type, the number of CPUs, and the GPUs that this process may use."""
    gpus = os.environ.get("CUDA_VISIBLE_DEVICES")
    return {"machine": platform.machine(), "cpus": os.cpu_count(), "gpus": gpus.split(",") if gpus else []}


def peak_bytes() -> int:
    """The largest resident memory, in bytes, of this process or of a child that has ended."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(kind).ru_maxrss for kind in kinds) * 1024  # Linux counts in KiB
