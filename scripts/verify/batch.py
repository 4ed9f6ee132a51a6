"""The executor: verify a file of items across cores, and go on after a kill. The command is `python -m scripts.verify`.

Finished blocks of verdicts lie in `<output>.work` until the output is whole. The bytes of the output depend neither on
the number of workers nor on kills.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from scripts.common.fingerprint import fingerprint, sha256_file
from scripts.verify.answer import Verdict
from scripts.verify.files import item_file
from scripts.verify.items import Row
from scripts.verify.pool import VerifierPool
from scripts.verify.settings import VerifySettings

Progress = Callable[[int, int, int], None]
"""Told (rows done, of them in this run, rows in all) after each block."""


def verify_file(
    source: Path, target: Path, workers: int, settings: VerifySettings, progress: Progress = lambda *_: None
) -> Counter[str]:
    """Write `target`: `source` with verdicts. Returns counts by verdict and reason (`count_name`).

    Both are JSON lines, or both Parquet: see `files.py`. Raises ValueError if the source cannot be verified at all,
    and if another run is writing the same output.
    """
    items, pool = item_file(source, target), VerifierPool(workers, settings)
    with _work_folder(target) as work:
        parts = work / _key(source, settings)
        _drop_stale(work, parts)
        parts.mkdir(exist_ok=True)
        paths = list(_verified_blocks(items.blocks(), items.count(), parts, pool, progress))
        partial = work / "output"
        items.write(partial, map(_read, paths))
        os.replace(partial, target)
        counts = Counter(count_name(verdict) for path in paths for verdict in _read(path))
        shutil.rmtree(parts)
    return counts


def count_name(verdict: Verdict) -> str:
    """What a verdict is counted under: its value and the first words of its reason."""
    return f"{json.dumps(verdict.correct):5s} {verdict.reason.partition(':')[0]}"


def _verified_blocks(
    blocks: Iterator[list[Row]], total: int, parts: Path, pool: VerifierPool, progress: Progress
) -> Iterator[Path]:
    """The file of each block's verdicts, there already or made now."""
    done = fresh = 0
    with pool:
        for index, rows in enumerate(blocks):
            part = parts / f"{index:06d}.json"
            if not part.exists():
                _write(part, _verdicts(rows, pool))
                fresh += len(rows)
            done += len(rows)
            progress(done, fresh, total)
            yield part


def _verdicts(rows: list[Row], pool: VerifierPool) -> list[Verdict]:
    """The verdict on each row, in order."""
    verified = iter(pool.verify_many([row for row in rows if not isinstance(row, Verdict)]))
    return [row if isinstance(row, Verdict) else next(verified) for row in rows]


@contextlib.contextmanager
def _work_folder(target: Path) -> Iterator[Path]:
    """`<target>.work`, for this process alone; afterwards gone, unless something else lies in it."""
    work = target.with_name(f"{target.name}.work")
    work.mkdir(parents=True, exist_ok=True)
    with (work / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"another run is writing {target}: wait for its end") from None
        yield work
        (work / "lock").unlink()
    with contextlib.suppress(OSError):
        work.rmdir()


def _drop_stale(work: Path, parts: Path) -> None:
    """Remove blocks of another input, other settings or other code."""
    for stale in work.iterdir():
        if stale != parts and re.fullmatch("[0-9a-f]{16}", stale.name):
            shutil.rmtree(stale)


def _key(source: Path, settings: VerifySettings) -> str:
    """Names the verdicts: the same input, settings and code, or the blocks of an earlier run are of no use."""
    text = "\0".join([sha256_file(source), settings.model_dump_json(), fingerprint("scripts.verify.batch")])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _write(path: Path, verdicts: list[Verdict]) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps([[verdict.correct, verdict.reason] for verdict in verdicts]))
    os.replace(partial, path)


def _read(path: Path) -> list[Verdict]:
    return [Verdict(correct, reason) for correct, reason in json.loads(path.read_text())]
