"""Verify a file of JSON lines.

    python -m scripts.verify in.jsonl out.jsonl [--workers 2] [--settings '{"math_extraction": ["boxed"]}']

Each line in: {"response": "...", "answer": {"kind": "math", "spec": {"target": "18"}}}, with whatever other keys; each
line out: the same object with `correct` (true, false or null) and `reason`. The order and the number of lines are
kept: a line that cannot be read gives {"correct": null, "reason": "bad line: ..."}. Counts by reason go to stderr.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from scripts.common.verify_settings import VerifySettings
from scripts.verify.answer import Answer, AnswerError, Verdict
from scripts.verify.pool import VerifierPool

BLOCK = 2048  # lines in memory at once


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m scripts.verify", description="Verify a file of JSON lines.")
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: all cores)")
    parser.add_argument("--settings", default="{}", help="VerifySettings as JSON; what is not named has its default")
    arguments = parser.parse_args()
    settings = VerifySettings.model_validate_json(arguments.settings)
    partial = arguments.output.with_name(f".{arguments.output.name}.{os.getpid()}")
    counts: Counter[str] = Counter()
    try:
        with (
            arguments.input.open("rb") as lines,
            partial.open("w") as out,
            VerifierPool(arguments.workers, settings) as pool,
        ):
            for verified in verify_lines(lines, pool):
                counts[count_name(verified)] += 1
                out.write(json.dumps(verified) + "\n")
        os.replace(partial, arguments.output)
    finally:
        partial.unlink(missing_ok=True)
    for name, number in sorted(counts.items()):
        print(f"{number:8d} {name}", file=sys.stderr)


def verify_lines(lines: Iterable[bytes], pool: VerifierPool) -> Iterator[dict[str, Any]]:
    """Each line's object with `correct` and `reason`, in order."""
    lines = iter(lines)
    while block := list(islice(lines, BLOCK)):
        parsed = [_parse(line) for line in block]
        verdicts = iter(
            pool.verify_many([(response, answer) for _, response, answer in parsed if isinstance(answer, Answer)])
        )
        for row, _, answer in parsed:
            verdict = next(verdicts) if isinstance(answer, Answer) else answer
            yield row | {"correct": verdict.correct, "reason": verdict.reason}


def count_name(verified: dict[str, Any]) -> str:
    """What a verdict is counted under: its value and the first words of its reason."""
    return f"{json.dumps(verified['correct']):5s} {verified['reason'].partition(':')[0]}"


def _parse(line: bytes) -> tuple[dict[str, Any], str, Answer | Verdict]:
    """(the line's object, response, answer), or a verdict in the answer's place that says what is wrong."""
    try:
        row = json.loads(line.decode())
    except (ValueError, RecursionError) as error:
        return {}, "", Verdict(None, f"bad line: not JSON: {error}"[:300])
    if not isinstance(row, dict):
        return {}, "", Verdict(None, f"bad line: a JSON object is needed, not {type(row).__name__}")
    response, answer = row.get("response"), row.get("answer")
    if not isinstance(response, str):
        return row, "", Verdict(None, "bad line: `response` must be a string")
    if not isinstance(answer, dict):
        return row, "", Verdict(None, "bad line: `answer` must be an object with `kind` and `spec`")
    try:
        return row, response, Answer.from_json(answer.get("kind"), answer.get("spec", {}))
    except AnswerError as error:
        return row, "", Verdict(None, f"bad spec: {error}"[:300])


if __name__ == "__main__":
    main()
