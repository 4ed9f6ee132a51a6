"""The embedded corpora of the tiny scale, from one seed.

    python -m scripts.sources.synthesize --recipe JSON --out results/tiny/synthetic/manifest.json

Writes SFT sources with planted faults, RL candidates, benchmarks, the base model's corpus and a clean corpus for the
distillation teacher, each in a raw shape of its own, and `truth.parquet`, which only tests read.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq

from scripts.common.settings import Domain
from scripts.common.step import step
from scripts.sources.corpora import (
    BENCHMARK_FILES,
    CHAT_WEIGHTS,
    RL_FILES,
    SFT_SOURCES,
    VERIFIABLE,
    Families,
    Row,
    Synthetic,
    chat_row,
    dialogue,
    pretraining_text,
    shares,
    spec_row,
    truth_row,
)
from scripts.sources.faults import FAULTS, Sample, plant, sample_of
from scripts.sources.tasks.base import Task
from scripts.sources.tasks.knowledge import World

TRUTH = "truth.parquet"


def write_raw(path: Path, rows: list[Row]) -> None:
    """Write rows in the format that the file's suffix names."""
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows, ensure_ascii=False))
    elif path.suffix == ".gz":
        path.write_bytes(gzip.compress(lines.encode(), mtime=0))
    else:
        path.write_text(lines)


def samples_by_source(families: Families, sizes: Synthetic, seed: int) -> dict[str, list[Sample]]:
    """The faultless samples of every SFT source."""
    rng = Random(f"samples-{seed}")
    samples: dict[str, list[Sample]] = {name: [] for name in SFT_SOURCES}
    for domain, count in sorted(sizes.sft.items()):
        tasks = families.distinct(rng, domain, count)
        rng.shuffle(tasks)
        for name, part in shares(tasks, domain):
            samples[name] += [sample_of(task, thinking=rng.random() < sizes.thinking) for task in part]
    return samples


def with_faults(
    samples: dict[str, list[Sample]], leaks: list[Task], sizes: Synthetic, seed: int
) -> dict[str, list[Sample]]:
    """The samples of every source with its planted faults, shuffled."""
    spoiled = {}
    for name, faultless in samples.items():
        rng = Random(f"faults-{seed}-{name}")
        source = SFT_SOURCES[name]
        rates = {fault: rate for fault, rate in sizes.faults.items() if source.gold or not FAULTS[fault].needs_gold}
        related = [task for task in leaks if task.domain in source.domains] or leaks
        planted = plant(faultless, related, rates, rng)
        rng.shuffle(planted)
        spoiled[name] = planted
    return spoiled


def write_sft(out: Path, samples: dict[str, list[Sample]]) -> list[Row]:
    """Write the SFT sources and return the rows of the truth file."""
    truth = []
    for name, planted in samples.items():
        write_raw(out / SFT_SOURCES[name].file, [SFT_SOURCES[name].row(sample) for sample in planted])
        truth += [truth_row(name, position, sample) for position, sample in enumerate(planted)]
    return truth


def write_pretraining(out: Path, families: Families, sizes: Synthetic, seed: int) -> None:
    """The base's texts and dialogues, and the teacher's textbook."""
    rng = Random(f"pretraining-{seed}")
    texts = [{"text": pretraining_text(families, rng)} for _ in range(round(sizes.pretrain * 0.3))]
    write_raw(out / "texts.jsonl", texts)
    dialogues = [dialogue(families, rng, CHAT_WEIGHTS) for _ in range(sizes.pretrain - len(texts))]
    write_raw(out / "dialogues.jsonl", [chat_row(sample_of(task, rng.random() < sizes.thinking)) for task in dialogues])
    even: dict[Domain, float] = dict.fromkeys(VERIFIABLE, 1.0)
    lessons = [dialogue(families, rng, even) for _ in range(sizes.textbook)]
    write_raw(out / "textbook.jsonl", [chat_row(sample_of(task, rng.random() < 0.5)) for task in lessons])


def synthesize(sizes: Synthetic, seed: int, out: Path) -> dict[str, int]:
    """Write all files into `out`; returns the number of samples by fault (`none` for clean ones)."""
    families = Families(World(Random(f"world-{seed}"), sizes.creatures))
    rng = Random(f"benchmarks-{seed}")
    benchmarks = {domain: families.hold_out(rng, domain, sizes.benchmark) for domain in VERIFIABLE}
    for domain, tasks in benchmarks.items():
        write_raw(out / BENCHMARK_FILES[domain], [spec_row(task) for task in tasks])
    for domain, (file, row) in RL_FILES.items():
        candidates = families.distinct(Random(f"rl-{seed}-{domain}"), domain, sizes.rl[domain])
        write_raw(out / file, [row(task) for task in candidates])
    leaks = [task for tasks in benchmarks.values() for task in tasks]
    truth = write_sft(out, with_faults(samples_by_source(families, sizes, seed), leaks, sizes, seed))
    pq.write_table(pa.Table.from_pylist(truth), out / TRUTH)
    write_pretraining(out, families, sizes, seed)
    faults = [row["fault"] or "none" for row in truth]
    return {fault: faults.count(fault) for fault in sorted(set(faults))}


def main() -> None:
    """The step: a folder of raw files."""
    with step(__spec__, inputs=(), settings=Synthetic) as run:
        run.counts["samples"] = synthesize(run.settings, run.seed, run.out)


if __name__ == "__main__":
    main()
