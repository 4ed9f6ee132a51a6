"""Compare the whole curation with a plain DataTrove pipeline of the same filters, on the real corpora.

    python -m benchmarks.bench_curate [--records 500000] [--spacy 1000] [--rounds 1] [--workers 2] [--work FOLDER]

ours           the pools `sft` and `rl` of scales/small.yaml; every step writes its own artifact, as in the pipeline
regex          DataTrove's readers, writers, filters and deduplications in as few passes as they allow, with our regular
               expression as the tokenizer
spacy          the same with DataTrove's default tokenizer, spaCy's for English (skipped if spaCy is not installed)
read + write   DataTrove's Parquet reader and writer with nothing between them

The records of the corpora are repeated in turn until there are enough of them. In every repetition, three words of ten
are exchanged for others of the same source, so that a repetition is not a duplicate. Each side runs in its own process,
and the sides alternate in every round. CPU seconds are the sum over all processes of a side, memory is that of the
largest. Figures are the median of the rounds (least..largest). Decisions are compared record by record.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import re
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from datatrove.data import Document
from datatrove.executor.local import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.decont.n_grams import NGramsDecontConfig, NGramsDecontFilter, NGramsDecontIndexer
from datatrove.pipeline.dedup.exact_dedup import (
    ExactDedupConfig,
    ExactDedupFilter,
    ExactDedupSignature,
    ExactFindDedups,
)
from datatrove.pipeline.dedup.minhash import (
    MinhashConfig,
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.filters.base_filter import BaseFilter
from datatrove.pipeline.filters.gopher_repetition_filter import GopherRepetitionFilter
from datatrove.pipeline.readers.parquet import ParquetReader
from datatrove.pipeline.writers.parquet import ParquetWriter
from datatrove.utils.batching import batched
from datatrove.utils.text import split_into_words
from datatrove.utils.word_tokenizers import WordTokenizer

from scripts.common import records
from scripts.curate import decontaminate, exact_dedup, language, near_dedup, pii, views
from scripts.curate.classify import ADDED, DomainClassifier
from scripts.curate.corpus import open_corpus
from scripts.curate.format import FormatFilter
from scripts.curate.job import Job
from scripts.curate.length import LengthFilter
from scripts.curate.pools import Pool
from scripts.curate.refusal import RefusalFilter
from scripts.curate.repetition import RepetitionFilter
from scripts.curate.settings.classifier import Classifiers
from scripts.curate.settings.length import Length
from scripts.curate.settings.repetition import Repetition
from scripts.curate.train_classifier import labelled_domains, split, train
from scripts.curate.truncation import TruncationFilter
from scripts.curate.words import RegexTokenizer
from scripts.sources.normalize import Normalize, normalize
from scripts.sources.rows import read_rows

ROOT = Path(__file__).parents[1]
CORPORA = Path(os.environ.get("NEBULA_CORPORA", "../shared/corpora"))
SMALL = yaml.safe_load((ROOT / "scales" / "small.yaml").read_text())
POOLS = {name: Pool.model_validate(pool) for name, pool in SMALL["pools"].items()}
SHARD = 10_000  # records
EXCHANGED = re.compile(r"\b[a-z]{4,}\b")
SHARE = 0.3  # share of the words that are exchanged; fewer than a tenth of the 5-grams remain
Row = dict[str, Any]


# --- The records ------------------------------------------------------------------------------------------------------


def originals(name: str) -> list[Row]:
    """The records of a source of the small scale."""
    settings = Normalize.model_validate({"name": name, "source": SMALL["sources"][name]})
    return list(normalize(settings, read_rows(CORPORA / SMALL["sources"][name]["path"]), []))


def repeated(rows: Sequence[Row], count: int) -> Iterator[Row]:
    """`count` records with consecutive ids: first the rows themselves, then repetitions with exchanged words."""
    vocabulary: dict[str, list[str]] = {}
    for row in rows:
        vocabulary.setdefault(row["source"], []).extend(EXCHANGED.findall(views.whole(row)))
    for index in range(count):
        row, repetition = rows[index % len(rows)], index // len(rows)
        if repetition:
            row = _exchange(row, random.Random(index), vocabulary[row["source"]])
        yield {**row, "id": f"{index:016x}"}


def _exchange(row: Row, rng: random.Random, words: list[str]) -> Row:
    def draw(match: re.Match[str]) -> str:
        return rng.choice(words) if rng.random() < SHARE else match[0]

    turns = [{**turn, "content": EXCHANGED.sub(draw, turn["content"])} for turn in row["messages"]]
    return {**row, "messages": turns}


def prepare(work: Path, count: int) -> Path:
    """The folder of `count` records, {pool}/00000.parquet, ..., made once; pools have the corpora's shares."""
    folder = work / f"records-{count}"
    if not folder.is_dir():
        rows = {name: [row for source in pool.sources for row in originals(source)] for name, pool in POOLS.items()}
        total = sum(map(len, rows.values()))
        for name, pool_rows in rows.items():
            stream = repeated(pool_rows, round(count * len(pool_rows) / total))
            for number, shard in enumerate(batched(stream, SHARD)):
                path = work / "partial" / name / f"{number:05d}.parquet"
                path.parent.mkdir(parents=True, exist_ok=True)
                pq.write_table(pa.Table.from_pylist(shard, schema=records.SCHEMA), path, compression="zstd")
        (work / "partial").rename(folder)
    return folder


def apart(task: Callable[..., object], *arguments: object) -> None:
    """Run a preparation in its own process, because a side's peak memory includes what its parent process has used."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        process.submit(task, *arguments).result()


def prepare_models(work: Path) -> None:
    """Write the scale's benchmarks, and its domain classifier trained on fewer texts for fewer epochs."""
    if (work / "benchmarks").is_dir():
        return
    for name, source in SMALL["sources"].items():
        if source["role"] == "benchmark":
            records.write(work / "partial" / name, originals(name))
    rows = [row for pool in POOLS.values() for source in pool.sources for row in originals(source)]
    settings = Classifiers.model_validate(SMALL["classifiers"]).domain
    settings = settings.model_copy(update={"epochs": 5, "per_label": 1000})
    training, _ = split(labelled_domains(rows, settings), 1, settings)
    train(training, 1, settings, work / "domain.bin")
    (work / "partial").rename(work / "benchmarks")


def benchmark_folders(work: Path) -> tuple[Path, ...]:
    return tuple(sorted((work / "benchmarks").iterdir()))


# --- Ours -------------------------------------------------------------------------------------------------------------


def ours(work: Path, source: Path, out: Path, workers: int) -> None:
    """Run every step of every pool, one after the other, as the rules do."""
    run = {
        "format": lambda job, s: job.filter(FormatFilter(s), views.whole),
        "language": lambda job, s: job.filter(language.LanguageFilter(s), views.whole, hit=language.HIT),
        "length": lambda job, s: job.filter(LengthFilter(s), views.whole),
        "refusal": lambda job, s: job.filter(RefusalFilter(s), views.final_answer),
        "repetition": lambda job, s: job.filter(RepetitionFilter(s), views.response),
        "truncation": lambda job, s: job.filter(TruncationFilter(s), views.final_answer),
        "pii": lambda job, s: job.filter(pii.PiiFilter(s), views.whole, hit=pii.HIT),
        "exact-dedup": exact_dedup.deduplicate,
        "near-dedup": near_dedup.deduplicate,
        "decontaminate": lambda job, s: decontaminate.decontaminate(job, s, benchmark_folders(work)),
        "classify": lambda job, s: job.filter(DomainClassifier(s, work / "domain.bin"), views.prompt, added=ADDED),
    }
    for name, pool in POOLS.items():
        folder = source / name
        for settings in pool.steps:
            at, before = out / name / settings.step, cpu_seconds()
            run[settings.step](Job(settings.step, open_corpus([folder]), at / "work", workers, at), settings)
            shutil.rmtree(at / "work")
            folder = at / records.RECORDS
            print(f"{name}/{settings.step}: {cpu_seconds() - before:.2f} CPU s", file=sys.stderr)


# --- DataTrove --------------------------------------------------------------------------------------------------------


class Viewed(BaseFilter):
    """A filter that sees one part of the record (`view`); it passes records for which `unless` is true."""

    name = "viewed"

    def __init__(self, block: BaseFilter, view: Callable[[Row], str], unless: Callable[[str], bool] | None = None):
        super().__init__()
        self.block, self.view, self.unless = block, view, unless

    def filter(self, doc: Document) -> bool | tuple[bool, str]:
        whole, doc.text = doc.text, self.view(doc.metadata)
        verdict = True if self.unless and self.unless(doc.text) else self.block.filter(doc)
        doc.text = whole
        return verdict


class WordCount(BaseFilter):
    """Filter by length in words of the tokenizer."""

    name = "length"

    def __init__(self, settings: Length, tokenizer: str | WordTokenizer):
        super().__init__()
        self.settings, self.tokenizer = settings, tokenizer

    def filter(self, doc: Document) -> bool:
        return self.settings.minimum <= len(split_into_words(doc.text, self.tokenizer)) <= self.settings.maximum


def _adapt(_reader: ParquetReader, data: Row, path: str, _index: int | str) -> Row:
    return {"text": views.whole(data), "id": data["id"], "metadata": data}


def _row(_writer: ParquetWriter, document: Document) -> Row:
    return {name: document.metadata[name] for name in records.SCHEMA.names}


def _key(doc: Document) -> str:
    return exact_dedup.KEYS["prompt-response"](doc.metadata)


@dataclass
class Plain:
    """DataTrove's pipelines for one pool."""

    work: Path
    out: Path
    tokenizer: str | WordTokenizer
    workers: int
    stage: int = 0

    def execute(self, pipeline: list[PipelineStep], tasks: int | None = None) -> None:
        self.stage += 1
        LocalPipelineExecutor(
            pipeline=pipeline,
            tasks=tasks or self.workers,
            workers=min(self.workers, tasks or self.workers),
            logging_dir=str(self.out / "log" / str(self.stage)),
            start_method="fork",
        ).run()

    def reader(self, folder: Path) -> ParquetReader:
        return ParquetReader(str(folder), adapter=_adapt, glob_pattern="*.parquet")

    def writer(self, name: str) -> ParquetWriter:
        return ParquetWriter(str(self.out / name), adapter=_row, schema=records.SCHEMA)

    def filters(self, steps: Sequence[Any]) -> list[PipelineStep]:
        made: dict[str, Callable[[Any], PipelineStep]] = {
            "format": FormatFilter,
            "language": lambda s: language.LanguageFilter(s),
            "length": lambda s: WordCount(s, self.tokenizer),
            "repetition": self._repetition,
            "refusal": lambda s: Viewed(RefusalFilter(s), views.final_answer),
            "truncation": lambda s: Viewed(TruncationFilter(s), views.final_answer),
            "pii": pii.PiiFilter,
            "decontaminate": self._decontaminate,
            "classify": lambda s: Viewed(DomainClassifier(s, self.work / "domain.bin"), views.prompt),
        }
        return [made[settings.step](settings) for settings in steps]

    def _repetition(self, s: Repetition) -> BaseFilter:
        shares: dict[str, Any] = {"dup_line_frac": s.duplicate_lines, "dup_line_char_frac": s.duplicate_line_chars}
        shares |= {"top_n_grams": s.top_ngrams, "dup_n_grams": s.duplicate_ngrams}
        block = GopherRepetitionFilter(
            **shares,
            dup_para_frac=None,
            dup_para_char_frac=None,
            language=self.tokenizer,
        )
        return Viewed(block, views.response, lambda text: len(split_into_words(text, self.tokenizer)) < s.minimum_words)

    def _decontaminate(self, s: Any) -> BaseFilter:
        """DataTrove's rule: one shared n-gram of prompt or answer is enough. (Its indexer's `run` needs lighteval.)"""
        config = NGramsDecontConfig(n_grams=s.ngram, find_query_ngrams=True, find_overlap_ngrams=False)
        NGramsDecontIndexer._requires_dependencies = []
        indexer = NGramsDecontIndexer(str(self.out / "index"), config=config, language=self.tokenizer)
        for folder in benchmark_folders(self.work):
            hashes = {
                h
                for row in records.iterate(folder)
                for h in indexer.compute_hashes(views.response(row), views.prompt(row))
            }
            (self.out / "index").mkdir(parents=True, exist_ok=True)
            np.array(sorted(hashes), np.uint64).tofile(self.out / "index" / f"{folder.name}.index.hashes")
        return NGramsDecontFilter(str(self.out / "index"), config=config, language=self.tokenizer)

    def exact(self, source: Path, following: list[PipelineStep]) -> Path:
        """Run exact deduplication in three stages, `following` in the last one; return the folder of its records."""
        config = ExactDedupConfig(content_getter=_key)
        signatures, duplicates = str(self.out / "exact-signatures"), str(self.out / "exact-duplicates")
        self.execute([self.reader(source), ExactDedupSignature(signatures, config)])
        self.execute([ExactFindDedups(signatures, duplicates, config)], tasks=1)
        drop = ExactDedupFilter(duplicates, config)
        self.execute([self.reader(source), drop, *following, self.writer("before-near-dedup")])
        return self.out / "before-near-dedup"

    def near(self, source: Path, settings: Any, following: list[PipelineStep]) -> None:
        """Run near deduplication in four stages, `following` in the last one."""
        config = MinhashConfig(settings.ngram, settings.buckets, settings.hashes_per_bucket)
        folders = [str(self.out / f"minhash-{name}") for name in ("signatures", "pairs", "remove")]
        self.execute([self.reader(source), MinhashDedupSignature(folders[0], config, language=self.tokenizer)])
        self.execute([MinhashDedupBuckets(folders[0], folders[1], config=config)], tasks=settings.buckets)
        self.execute([MinhashDedupCluster(folders[1], folders[2], config)], tasks=1)
        self.execute([self.reader(source), MinhashDedupFilter(folders[2]), *following, self.writer("kept")])


def plain(work: Path, source: Path, out: Path, workers: int, tokenizer: str | WordTokenizer) -> None:
    """The same steps as DataTrove pipelines, in three passes: to exact deduplication, to near, the rest."""
    for name, pool in POOLS.items():
        names = [settings.step for settings in pool.steps]
        exact, near = names.index("exact-dedup"), names.index("near-dedup")
        made = Plain(work, out / name, tokenizer, workers)
        made.execute([made.reader(source / name), *made.filters(pool.steps[:exact]), made.writer("first")])
        between = made.filters(pool.steps[exact + 1 : near])
        made.near(made.exact(made.out / "first", between), pool.steps[near], made.filters(pool.steps[near + 1 :]))


def read_and_write(work: Path, source: Path, out: Path, workers: int) -> None:
    for name in POOLS:
        made = Plain(work, out / name, "", workers)
        made.execute([made.reader(source / name), made.writer("kept")])


SIDES: dict[str, Callable[[Path, Path, Path, int], None]] = {
    "ours": ours,
    "regex": partial(plain, tokenizer=RegexTokenizer()),
    "spacy": partial(plain, tokenizer="eng"),
    "read + write": read_and_write,
}
# --- Measuring --------------------------------------------------------------------------------------------------------


def cpu_seconds() -> float:
    used = (resource.getrusage(kind) for kind in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def side(name: str, work: Path, source: Path, out: Path, workers: int) -> None:
    """Run a side in this process and print its times in seconds and its peak memory in MiB."""
    start, cpu = time.perf_counter(), cpu_seconds()
    SIDES[name](work, source, out, workers)
    peak = max(resource.getrusage(kind).ru_maxrss for kind in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024
    took = {"wall": time.perf_counter() - start, "cpu": cpu_seconds() - cpu, "peak": peak}
    print(f"\n{json.dumps(took)}")


def output(work: Path, name: str, count: int) -> Path:
    """Folder of a side's output for `count` records."""
    return work / f"{name.replace(' ', '')}-{count}"


def measure(name: str, work: Path, count: int, workers: int) -> dict[str, float]:
    """Run a side in its own process; its output stays for the comparison."""
    out = output(work, name, count)
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "benchmarks.bench_curate", "--side", name, "--records", str(count)]
    command += ["--work", str(work), "--workers", str(workers)]
    out.mkdir(parents=True)
    with (out / "log.txt").open("w") as log:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=log, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} failed: {out / 'log.txt'}")
    took: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return took


def report(name: str, count: int, rounds: Sequence[dict[str, float]]) -> None:
    """Print one line of the table."""
    cpu, wall, peak = ([took[key] for took in rounds] for key in ("cpu", "wall", "peak"))
    spread = f"{statistics.median(cpu):.1f} ({min(cpu):.1f}..{max(cpu):.1f})"
    print(
        f"{name:14s} {count:9,d} {spread:>24s} {statistics.median(cpu) / count * 1000:9.3f}"
        f" {count / statistics.median(wall):10,.0f} {max(peak):8,.0f}",
        flush=True,
    )


def kept_ids(side: Path, places: dict[str, str]) -> set[tuple[str, str]]:
    """Pool and id of the records that a side keeps. `places`: pool to the records' folder below the pool's folder."""
    return {(pool, row["id"]) for pool, place in places.items() for row in records.iterate(side / pool / place, ["id"])}


def compare(work: Path, count: int, other: str) -> None:
    """Print how many records both sides decide alike, after the filters and at the end."""
    everything = sum(pq.read_metadata(path).num_rows for path in (work / f"records-{count}").rglob("*.parquet"))
    ends = {name: f"{pool.steps[-1].step}/{records.RECORDS}" for name, pool in POOLS.items()}
    filtered = dict.fromkeys(POOLS, f"pii/{records.RECORDS}")
    for stage, our_folders, other_folder in (("filters", filtered, "before-near-dedup"), ("all", ends, "kept")):
        ours_kept = kept_ids(output(work, "ours", count), our_folders)
        other_kept = kept_ids(output(work, other, count), dict.fromkeys(POOLS, other_folder))
        print(
            f"{stage:8s} against {other:6s}: {everything - len(ours_kept ^ other_kept):,} of {everything:,} alike; "
            f"dropped by ours alone {len(other_kept - ours_kept):,}, by {other} alone {len(ours_kept - other_kept):,}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_curate")
    parser.add_argument("--records", type=int, default=500_000, help="records of ours, regex, and read + write")
    parser.add_argument("--spacy", type=int, default=1_000, help="records of spacy, ours, and read + write")
    parser.add_argument("--rounds", type=int, default=1, help="number of runs per side")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--work", type=Path, default=Path("work/bench-curate"), help="folder of records and outputs; it is kept"
    )
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not CORPORA.is_dir():
        raise SystemExit(f"{CORPORA} is not there: set NEBULA_CORPORA to the folder of the real corpora")
    work, workers = arguments.work, arguments.workers
    if arguments.side:
        name, count = arguments.side, arguments.records
        side(name, work, work / f"records-{count}", output(work, name, count), workers)
        return
    work.mkdir(parents=True, exist_ok=True)
    apart(prepare_models, work)
    sizes = {"spacy": arguments.spacy, "regex": arguments.records}
    if importlib.util.find_spec("spacy") is None:
        print("spaCy is not installed, so DataTrove's default tokenizer is left out: pip install spacy")
        del sizes["spacy"]
    table(work, sizes, arguments.rounds, workers)


def table(work: Path, sizes: dict[str, int], rounds: int, workers: int) -> None:
    """Print the table: DataTrove with each tokenizer, and beside it ours and read + write on as many records."""
    print(f"{workers} workers, {rounds} rounds; CPU seconds of all processes, MiB of the largest")
    print(f"{'':14s} {'records':>9s} {'CPU s':>24s} {'ms each':>9s} {'per second':>10s} {'MiB':>8s}")
    for other, count in sizes.items():
        apart(prepare, work, count)
        sides = (other, "ours", "read + write")
        took = [{name: measure(name, work, count, workers) for name in sides} for _ in range(rounds)]
        for name in sides:
            report(name, count, [measured[name] for measured in took])
        compare(work, count, other)


if __name__ == "__main__":
    main()
