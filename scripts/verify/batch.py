"""Verify a Parquet of records, across cores, resumable.

    python -m scripts.verify.batch in.parquet out.parquet --work work/verify [--workers 2] [--settings '{...}']

The input has the columns `response` (string) and `answer` ({kind, spec}); the output has all its columns, in order, and
`correct` (bool, null where unverifiable) and `reason`. Finished blocks lie in the work folder until the output is
whole, so a killed run goes on where it was. The bytes do not depend on the number of workers, nor on a kill.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from scripts.common.fingerprint import fingerprint, sha256_file
from scripts.common.verify_settings import VerifySettings
from scripts.verify.__main__ import count_name
from scripts.verify.answer import Answer, AnswerError, Verdict
from scripts.verify.pool import VerifierPool

BLOCK = 2048  # rows verified, and then safe, at a time
VERDICT = pa.schema([("correct", pa.bool_()), ("reason", pa.string())])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m scripts.verify.batch")
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="folder for finished blocks, removed at the end")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: all cores)")
    parser.add_argument("--settings", default="{}", help="VerifySettings as JSON; what is not named has its default")
    arguments = parser.parse_args()
    settings = VerifySettings.model_validate_json(arguments.settings)
    counts = verify_parquet(arguments.input, arguments.output, arguments.work, arguments.workers, settings, _report())
    for name, number in sorted(counts.items()):
        print(f"{number:8d} {name}", file=sys.stderr)


def verify_parquet(
    source: Path,
    target: Path,
    work: Path,
    workers: int,
    settings: VerifySettings,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Counter[str]:
    """Write `target`: `source` with verdicts. Counts by verdict and reason; `progress` is told (rows done, of all)."""
    parts = work / _key(source, settings)
    for stale in work.glob("*"):
        if stale != parts:
            shutil.rmtree(stale)
    parts.mkdir(parents=True, exist_ok=True)
    with pq.ParquetFile(source) as file:
        _check_columns(source, file.schema_arrow)
        with VerifierPool(workers, settings) as pool:
            done = 0
            for index, batch in enumerate(file.iter_batches(BLOCK, columns=["response", "answer"])):
                part = parts / f"{index:06d}.parquet"
                if not part.exists():
                    _write(part, _verdicts(batch, pool))
                done += batch.num_rows
                progress(done, file.metadata.num_rows)
        counts = _join(file, sorted(parts.glob("*.parquet")), target)
    shutil.rmtree(work)
    return counts


def _key(source: Path, settings: VerifySettings) -> str:
    """Names the verdicts: the same input, settings and code, or the blocks of an earlier run are of no use."""
    text = "\0".join([sha256_file(source), settings.model_dump_json(), fingerprint("scripts.verify.batch")])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _check_columns(source: Path, schema: pa.Schema) -> None:
    for name in ("response", "answer"):
        if name not in schema.names:
            raise ValueError(f"{source} has no column {name!r}, only {', '.join(schema.names)}")
    for name in VERDICT.names:
        if name in schema.names:
            raise ValueError(f"{source} already has a column {name!r}: verify the records it was made from")


def _verdicts(batch: pa.RecordBatch, pool: VerifierPool) -> pa.Table:
    """The verdict on each row, in order; a row without response or with an unreadable answer is unverifiable."""
    rows = [_item(row) for row in batch.to_pylist()]
    verified = iter(pool.verify_many([row for row in rows if not isinstance(row, Verdict)]))
    verdicts = [row if isinstance(row, Verdict) else next(verified) for row in rows]
    columns = {"correct": [each.correct for each in verdicts], "reason": [each.reason for each in verdicts]}
    return pa.Table.from_pydict(columns, schema=VERDICT)


def _item(row: dict[str, object]) -> tuple[str, Answer] | Verdict:
    response, answer = row["response"], row["answer"]
    if not isinstance(response, str) or not isinstance(answer, dict):
        return Verdict(None, "bad row: response and answer must not be null")
    try:
        return response, Answer.from_json(answer.get("kind"), answer.get("spec"))
    except AnswerError as error:
        return Verdict(None, f"bad spec: {error}"[:300])


def _write(path: Path, table: pa.Table) -> None:
    partial = path.with_suffix(".partial")
    pq.write_table(table, partial)
    os.replace(partial, path)


def _join(source: pq.ParquetFile, parts: list[Path], target: Path) -> Counter[str]:
    """Put verdicts beside their rows, block by block."""
    counts: Counter[str] = Counter()
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    schema = pa.schema([*source.schema_arrow, *VERDICT])
    try:
        with pq.ParquetWriter(partial, schema, compression="zstd") as writer:
            for batch, part in zip(source.iter_batches(BLOCK), parts, strict=True):
                verdicts = pq.read_table(part)
                counts.update(count_name(row) for row in verdicts.to_pylist())
                columns = [*batch.columns, *(verdicts[name].combine_chunks() for name in VERDICT.names)]
                writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)
    return counts


def _report() -> Callable[[int, int], None]:
    start = time.monotonic()

    def report(done: int, total: int) -> None:
        rate = done / max(time.monotonic() - start, 1e-9)
        print(f"verified {done:,} of {total:,} rows, {rate:,.0f} a second", file=sys.stderr, flush=True)

    return report


if __name__ == "__main__":
    main()
