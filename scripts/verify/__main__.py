"""Verify a file of responses: JSON lines or Parquet.

    python -m scripts.verify in.jsonl out.jsonl
    python -m scripts.verify in.parquet out.parquet --workers 8 --settings '{"math_extraction": ["boxed"]}'

A line in: {"response": "...", "answer": {"kind": "math", "spec": {"target": "18"}}}, with whatever other keys (in
Parquet the columns `response` and `answer`); a line out: the same with `correct` (true, false, or null if nothing can
be said) and `reason`. Order and number of lines are kept; a line that cannot be read gets null and "bad line: ...".
The kinds of answers, their specs, all reasons and all settings: docs/verifiers.md.

Progress and the counts by verdict and reason go to stderr. After a kill the same command goes on where it was: until
the output is whole, finished blocks lie in `<output>.work`.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from pydantic import ValidationError

from scripts.verify.batch import Progress, verify_file
from scripts.verify.settings import VerifySettings

_SECONDS_BETWEEN_REPORTS = 5.0


def main() -> None:
    arguments = _arguments()
    try:
        settings = VerifySettings.model_validate_json(arguments.settings)
    except ValidationError as error:
        raise SystemExit(f"--settings: {error}") from None
    try:
        counts = verify_file(arguments.input, arguments.output, arguments.workers, settings, _report())
    except (OSError, ValueError) as error:
        raise SystemExit(f"not verified: {error}") from None
    except KeyboardInterrupt:
        raise SystemExit("\ninterrupted: the same command goes on from here") from None
    for name, number in sorted(counts.items()):
        print(f"{number:8d} {name}", file=sys.stderr)


def _arguments() -> argparse.Namespace:
    cores = len(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(
        prog="python -m scripts.verify", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("input", type=Path, help="JSON lines, or Parquet if it is named .parquet")
    parser.add_argument("output", type=Path, help="of the same kind; replaced only when it is whole")
    parser.add_argument("--workers", type=int, default=cores, help=f"processes (default: this job's cores, {cores})")
    parser.add_argument(
        "--settings", default="{}", help="VerifySettings as JSON; settings that it does not name have their defaults"
    )
    return parser.parse_args()


def _report() -> Progress:
    """Prints a line every few seconds, and at the end."""
    start = last = time.monotonic()

    def report(done: int, fresh: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < _SECONDS_BETWEEN_REPORTS and done < total:
            return
        last = now
        kept = f" ({done - fresh:,} of an earlier run)" if fresh < done else ""
        rate = fresh / max(now - start, 1e-9)
        print(f"verified {done:,} of {total:,}{kept}, {rate:,.0f} per second", file=sys.stderr, flush=True)

    return report


if __name__ == "__main__":
    main()
