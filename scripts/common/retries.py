"""Decide which failed jobs may be retried.

Snakemake retries every failed job. A job that was killed (time limit, memory, node, preemption) or met an input/output
error leaves no mark, so its retry runs and resumes. Any other exception is a fault of the step, which a retry would
repeat: the step leaves a mark in its work folder, and retries in the same run of Snakemake refuse to start. When one
process of a distributed run dies, the survivors' errors are not counted as their own fault.
"""

from __future__ import annotations

import os
import traceback
from pathlib import Path

from scripts.common.artifacts import read_json, write_json

RUN_VARIABLE = "NEBULA_RUN"
"""Environment variable that identifies one run of Snakemake; not set if a step is run by hand."""
MARK = "fault.json"


def note(work: Path, error: Exception) -> None:
    """Mark the work folder as failed by a fault of the step, unless the error is transient or the step runs by hand."""
    run = os.environ.get(RUN_VARIABLE)
    if run is None or _is_transient(error):
        return
    work.mkdir(parents=True, exist_ok=True)
    write_json(work / MARK, {"run": run, "traceback": traceback.format_exception(error)})


def refuse_repetition(work: Path) -> None:
    """Raise SystemExit with the earlier traceback if this step failed by its own fault in this run of Snakemake."""
    mark = work / MARK
    if mark.is_file() and read_json(mark)["run"] == os.environ.get(RUN_VARIABLE):
        raise SystemExit(
            "".join(read_json(mark)["traceback"])
            + "Not repeated: the previous attempt failed with this error, and a retry would too"
        )


def _is_transient(error: BaseException | None) -> bool:
    """Whether an error, or an error that caused it, is one of input/output, memory or communication."""
    while error is not None:
        if isinstance(error, OSError | MemoryError) or _from_a_peer(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _from_a_peer(error: BaseException) -> bool:
    """Whether torch.distributed reports that another process cannot be reached: NCCL by its type, gloo by its text."""
    named = any(kind.__name__ in ("DistBackendError", "DistNetworkError") for kind in type(error).__mro__)
    return named or (isinstance(error, RuntimeError) and "by peer" in str(error))
