"""Score generations: the verifiers' verdicts on the responses, thinking removed, and their mean.

pass@1 is the mean over the samples of a prompt, then over prompts: more samples make it more exact, never higher. The
standard error is that of the mean over prompts, since samples of one prompt are not independent: the standard deviation
of the prompts' means, divided by the square root of their number. An unverifiable response counts as 0, and is counted
by its reason.

python -m scripts.evaluate.score --recipe JSON --generations PARQUET... --out JSON...
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from scripts.common.artifacts import write_json
from scripts.common.step import Run, step
from scripts.evaluate.generations import GROUP
from scripts.evaluate.settings.score import Metric, ScoreSettings
from scripts.verify import Verdict, VerifierPool
from scripts.verify.records import reason_head, verifier_pool, verify_all

Row = dict[str, Any]


class ScoreError(RuntimeError):
    """Generations cannot be scored: the message names the file and what is wrong with it."""


def by_item(rows: Sequence[Row], name: str) -> list[list[Row]]:
    """The rows of each item, in order. Raises ScoreError unless all items have the same samples, numbered from 0."""
    groups: list[list[Row]] = []
    for row in rows:
        if row["sample"] == 0:
            groups.append([])
        if not groups or (groups[-1] and groups[-1][0]["id"] != row["id"]) or row["sample"] != len(groups[-1]):
            raise ScoreError(f"{name}: sample {row['sample']} of {row['id']} is out of place; generate it again")
        groups[-1].append(row)
    if len({len(group) for group in groups}) != 1:
        raise ScoreError(f"{name}: items have {sorted({len(group) for group in groups})} samples; generate it again")
    return groups


def mean_and_error(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean of the prompts' values and its standard error, which is None for a single prompt."""
    if len(values) < 2:
        return statistics.fmean(values), None
    return statistics.fmean(values), statistics.stdev(values) / math.sqrt(len(values))


def score(rows: Sequence[Row], name: str, model: str, metric: Metric, pool: VerifierPool) -> Row:
    """The score of one benchmark: `value` in [0, 1], its error, and each item with its verdicts."""
    if metric == "strict-prompt":
        _require_instructions(rows, name)
    groups = by_item(rows, name)
    verdicts = verify_all(pool, [(row["response"], row["answer"]) for row in rows])
    unverifiable = Counter(reason_head(verdict) for verdict in verdicts if verdict.correct is None)
    remaining = iter(verdicts)
    items = [_item(group, [next(remaining) for _ in group]) for group in groups]
    value, stderr = mean_and_error([item["value"] for item in items])
    return {
        "value": value,
        "n": len(items),
        "samples_per_prompt": len(groups[0]),
        "stderr": stderr,
        "metric": metric,
        "model": model,
        "benchmark": name,
        "unverifiable": dict(sorted(unverifiable.items())),
        "truncated": sum(row["finish_reason"] == "length" for row in rows),
        "tokens": statistics.fmean(row["tokens"] for row in rows),
        "items": items,
    }


def _item(rows: Sequence[Row], verdicts: Sequence[Verdict]) -> Row:
    return {
        "id": rows[0]["id"],
        "value": sum(verdict.correct is True for verdict in verdicts) / len(verdicts),
        "verdicts": [{"correct": verdict.correct, "reason": verdict.reason} for verdict in verdicts],
    }


def _require_instructions(rows: Sequence[Row], name: str) -> None:
    kinds = {row["answer"]["kind"] for row in rows if row["answer"] is not None} - {None, "instructions"}
    if kinds:
        raise ScoreError(f"{name}: strict-prompt scores instructions, but items are {sorted(kinds)}: use pass@1")


def read(path: Path) -> list[Row]:
    """The generations in a file. Raises ScoreError if it holds none."""
    columns = ["id", "sample", "response", "finish_reason", "tokens", "answer"]
    rows: list[Row] = []
    specs: dict[str, str] = {}
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=GROUP, columns=columns):
            for row in batch.to_pylist():
                if row["answer"] is not None:  # all samples of an item share one text
                    spec = row["answer"]["spec"]
                    row["answer"]["spec"] = specs.setdefault(spec, spec)
                rows.append(row)
    if not rows:
        raise ScoreError(f"{path} holds no generation")
    return rows


def score_all(run: Run[ScoreSettings]) -> None:
    """Write `<benchmark>.json` for every benchmark."""
    settings = run.settings
    files = {item.path.stem: item.path for item in run.inputs["generations"]}
    if set(files) != set(settings.benchmarks):
        raise ScoreError(f"--generations are of {sorted(files)}, the recipe scores {sorted(settings.benchmarks)}")
    if "strict-prompt" in settings.benchmarks.values() and settings.verify.instructions_mode != "strict":
        raise ScoreError("the metric strict-prompt needs verify.instructions_mode: strict")
    with verifier_pool(settings.verify) as pool:
        for name, metric in settings.benchmarks.items():
            result = score(read(files[name]), name, settings.model, metric, pool)
            write_json(run.out / f"{name}.json", result)
            error = "" if result["stderr"] is None else f" ± {100 * result['stderr']:.1f}"
            print(f"{name}: {100 * result['value']:.1f}{error} ({metric}, {result['n']} prompts)", flush=True)


def main() -> None:
    with step(__spec__, inputs=("generations",), settings=ScoreSettings) as run:
        score_all(run)


if __name__ == "__main__":
    main()
