"""Which failures are worth another attempt.

Snakemake retries whatever failed. A job that was killed (time limit, memory, node, preemption) or met an input/output
error leaves no mark, so its retry runs and resumes. Any other exception is the step's own fault, which a repetition
cannot mend: it leaves a mark in the work folder, and the retries of the same Snakemake run refuse to start. That
a process of the same training is gone is no fault of those that notice.
"""

from __future__ import annotations

import os
import traceback
from pathlib import Path

from scripts.common.artifacts import read_json, write_json

RUN_VARIABLE = "NEBULA_RUN"
"""Environment variable that names one run of Snakemake; not set where a step is run by hand."""
MARK = "fault.json"


def note(work: Path, error: Exception) -> None:
    """Leave a mark of a fault; none for errors of input, output and communication, which may pass."""
    run = os.environ.get(RUN_VARIABLE)
    if run is None or _may_pass(error):
        return
    work.mkdir(parents=True, exist_ok=True)
    write_json(work / MARK, {"run": run, "traceback": traceback.format_exception(error)})


def refuse_repetition(work: Path) -> None:
    """Raise SystemExit with the first attempt's traceback if it failed by its own fault in this run of Snakemake."""
    mark = work / MARK
    if mark.is_file() and read_json(mark)["run"] == os.environ.get(RUN_VARIABLE):
        raise SystemExit(
            "".join(read_json(mark)["traceback"]) + "Not repeated: the attempt before failed by this fault"
        )


def _may_pass(error: BaseException | None) -> bool:
    """Whether an error, or one that it was raised from, is of input and output, of memory or of communication."""
    while error is not None:
        if isinstance(error, OSError | MemoryError) or _from_a_peer(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _from_a_peer(error: BaseException) -> bool:
    """Whether torch.distributed says that another process cannot be reached: NCCL by a type, gloo by a text."""
    named = any(kind.__name__ in ("DistBackendError", "DistNetworkError") for kind in type(error).__mro__)
    return named or (isinstance(error, RuntimeError) and "by peer" in str(error))
