"""The frame of every curation step: records in, DataTrove blocks between, kept and dropped records out.

The records of the inputs are cut into tasks by their own size (never by the number of workers), and
each task is one rank of a DataTrove executor that writes its own shard. So the bytes are the same for
any number of workers, memory is that of a batch, and a killed step repeats only unfinished tasks.
A step's module says what is dropped: a DataTrove filter whose `filter` returns True, or False and the
reason; what it puts into the document's metadata becomes a column where the step names it. The rows
themselves stay in Arrow and are never rebuilt, which costs more than most filters (docs/data.md).

`NEBULA_WORKERS` (default 1) processes run the tasks. How many is no setting: it changes no byte.
"""

from __future__ import annotations

import json
import multiprocessing
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from datatrove.data import Document, DocumentsPipeline
from datatrove.executor.local import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.filters.base_filter import BaseFilter, get_filter_result
from datatrove.utils.typeshelper import StatHints

from scripts.common.records import DROPPED, KEPT, ROW_GROUP, shards
from scripts.common.step import Run, workers

BATCH = 1_000  # records in memory as Python objects
TASK = 10_000  # records: a task is the row groups that fill this many, at least one
GROUP_BYTES = 64 * 2**20  # of a row group in memory: long responses make smaller groups
ASIDE = "aside"  # the role of rows that are kept and also shown

Columns = Sequence[tuple[str, pa.DataType]]
Text = Callable[[dict[str, Any]], str]
Compute = Callable[[list[dict[str, Any]], int], npt.NDArray[Any]]
"""From rows and the position of the first of them."""


class CurationError(RuntimeError):
    """Records cannot be read, or do not add up."""


@dataclass(frozen=True)
class Unit:
    """Some row groups of one shard."""

    path: Path
    groups: tuple[int, ...]
    rows: int


@dataclass(frozen=True)
class Corpus:
    """The records that a step reads, in order, cut into tasks."""

    tasks: tuple[tuple[Unit, ...], ...]
    schema: pa.Schema

    @property
    def rows(self) -> int:
        return sum(unit.rows for task in self.tasks for unit in task)

    @property
    def offsets(self) -> list[int]:
        """Position in the whole corpus of each task's first record."""
        sizes = [sum(unit.rows for unit in task) for task in self.tasks]
        return [0, *accumulate(sizes)][:-1]

    def batches(self, rank: int, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The records of a task in batches of BATCH; `columns` may name a part of one (`answer.kind`)."""
        for unit in self.tasks[rank]:
            with pq.ParquetFile(unit.path) as file:
                yield from file.iter_batches(
                    batch_size=BATCH, row_groups=unit.groups, columns=columns, use_threads=False
                )

    def all_batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """The records' `columns` in batches, in the order of tasks."""
        for rank in range(len(self.tasks)):
            yield from self.batches(rank, columns)

    def iterate(self, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
        """The records' `columns`, streamed in the order of tasks."""
        for batch in self.all_batches(columns):
            yield from batch.to_pylist()


class Shard:
    """One Parquet file that a task writes: there is none before the first row, and a whole one at the end."""

    def __init__(self, path: Path, schema: pa.Schema):
        self.path = path
        self.schema = schema
        self.waiting: list[pa.RecordBatch] = []
        self.writer: pq.ParquetWriter | None = None

    def write(self, batch: pa.RecordBatch) -> None:
        """Take rows; a row group is written when it has ROW_GROUP rows or GROUP_BYTES."""
        if batch.num_rows:
            self.waiting.append(batch)
        if (
            sum(part.num_rows for part in self.waiting) >= ROW_GROUP
            or sum(part.nbytes for part in self.waiting) >= GROUP_BYTES
        ):
            self._flush()

    def close(self) -> None:
        if self.waiting:
            self._flush()
        if self.writer is not None:
            self.writer.close()
            self.partial.rename(self.path)

    @property
    def partial(self) -> Path:
        return self.path.with_suffix(".partial")

    def _flush(self) -> None:
        if self.writer is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.writer = pq.ParquetWriter(self.partial, self.schema, compression="zstd")
        table = pa.Table.from_batches(self.waiting, self.schema)
        self.writer.write_table(table, row_group_size=table.num_rows)
        self.waiting = []


class Sieve(PipelineStep):
    """A task's records through a filter: each row goes as it is to `records/` or, with the reason, to `dropped/`.

    Any DataTrove filter will do. Rows are cut out of Arrow batches and never turned into documents and back, which
    costs more than most filters; a document holds the text and the columns that the filter asks for.
    """

    type = "🔻 - FILTER"
    name = "sieve"

    def __init__(self, job: Job, block: BaseFilter, view: View, outputs: Outputs):
        super().__init__()
        self.job = job
        self.block = block
        self.view = view
        self.outputs = outputs

    def run(self, data: DocumentsPipeline = None, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        position = self.job.corpus.offsets[rank]
        open_shards = {
            name: Shard(self.job.work / name / f"{rank:05d}.parquet", schema)
            for name, schema in self.outputs.schemas.items()
        }
        for batch in self.job.corpus.batches(rank):
            for name, rows in self._sift(batch, position).items():
                open_shards[name].write(rows)
            position += batch.num_rows
        for shard in open_shards.values():
            shard.close()
        self.job.progress(rank)
        yield from ()

    def _sift(self, batch: pa.RecordBatch, position: int) -> dict[str, pa.RecordBatch]:
        """The rows of a batch by the folder that they go to."""
        documents = [
            Document(text=self.view.text(row), id=str(position + index), metadata=row)
            for index, row in enumerate(rows_of(batch, self.view.columns))
        ]
        verdicts = [get_filter_result(found) for found in self.block.filter_batch(documents)]
        for document, (_, reason) in zip(documents, verdicts, strict=True):
            document.metadata |= {"step": self.job.name, "reason": reason}
        chosen = {
            KEPT: [bool(keep) for keep, _ in verdicts],
            DROPPED: [not keep for keep, _ in verdicts],
            ASIDE: [bool(keep) and reason is not None for keep, reason in verdicts],
        }
        self.stat_update(StatHints.forwarded, value=sum(chosen[KEPT]))
        self.stat_update(StatHints.dropped, value=sum(chosen[DROPPED]))
        return {name: self._cut(batch, documents, chosen[role], name) for name, role in self.outputs.roles.items()}

    def _cut(self, batch: pa.RecordBatch, documents: list[Document], chosen: list[bool], name: str) -> pa.RecordBatch:
        """The chosen rows with the columns that the filter's decision adds to them."""
        rows = batch.filter(pa.array(chosen, pa.bool_()))
        schema, given = self.outputs.schemas[name], self.outputs.given[name]
        columns = []
        for field in schema:
            if field.name in given:
                values = (one.metadata.get(field.name) for one, taken in zip(documents, chosen, strict=True) if taken)
                columns.append(pa.array(values, field.type, size=rows.num_rows))
            elif field.name in rows.schema.names:
                columns.append(rows.column(field.name).cast(field.type))
            else:
                columns.append(pa.nulls(rows.num_rows, field.type))
        return pa.RecordBatch.from_arrays(columns, schema=schema)


class Scan(PipelineStep):
    """A task's records through a function that computes an array of them; the tasks' arrays go to `folder`."""

    type = "🔎 - SCAN"
    name = "scan"

    def __init__(self, job: Job, folder: Path, columns: Sequence[str], compute: Compute):
        super().__init__()
        self.job = job
        self.folder = folder
        self.columns = columns
        self.compute = compute

    def run(self, data: DocumentsPipeline = None, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        position, found = self.job.corpus.offsets[rank], []
        for batch in self.job.corpus.batches(rank, self.columns):
            found.append(self.compute(rows_of(batch, self.columns), position))
            position += batch.num_rows
        if found:
            self.folder.mkdir(parents=True, exist_ok=True)
            np.save(self.folder / f"{rank:05d}.npy", np.concatenate(found))
        self.job.progress(rank)
        yield from ()


@dataclass(frozen=True)
class View:
    """What a filter sees of a record: a text, and columns as the document's metadata."""

    text: Text
    columns: tuple[str, ...] = ("messages", "domain")


@dataclass(frozen=True)
class Outputs:
    """The folders that a filter writes, by name."""

    roles: dict[str, str]
    """Which rows: KEPT, DROPPED, or ASIDE, which are kept with a reason."""
    schemas: dict[str, pa.Schema]
    given: dict[str, frozenset[str]]
    """The columns whose values the filter gives."""


@dataclass(frozen=True)
class Job:
    """One curation step at work: what it reads, where it writes, and how many processes it may use."""

    name: str
    corpus: Corpus
    out: Path
    """The artifact's folder; gets `records/` and `dropped/`."""
    work: Path
    """Folder of unfinished business: shards of finished tasks, signatures, DataTrove's own logs."""
    workers: int

    def execute(self, stage: str, step: PipelineStep) -> None:
        """Run a step over all tasks; those that an earlier, killed run finished are not repeated."""
        tasks = len(self.corpus.tasks)
        log = self.work / "log" / stage
        clock = self.work / "clock.json"
        log.mkdir(parents=True, exist_ok=True)
        clock.write_text(json.dumps({"stage": stage, "started": time.time(), "before": _finished(log)}))
        executor = LocalPipelineExecutor(pipeline=[step], tasks=tasks, workers=1, logging_dir=str(log))
        waiting = executor.get_incomplete_ranks(range(tasks))
        if self.workers == 1 or len(waiting) < 2:
            executor.run()
        else:
            self._in_processes(executor, waiting)

    def _in_processes(self, executor: LocalPipelineExecutor, ranks: Sequence[int]) -> None:
        """Run tasks in forked processes. DataTrove's own pool waits for ever for a task whose process was killed.

        Raises MemoryError where one was: the kernel does that to the largest process when memory is short.
        """
        context = multiprocessing.get_context("fork")  # forkserver would import the step's module again in each
        try:
            with ProcessPoolExecutor(min(self.workers, len(ranks)), context, _hold, (executor,)) as pool:
                for task in [pool.submit(_run_task, rank) for rank in ranks]:
                    task.result()
        except BrokenProcessPool as error:
            raise MemoryError(
                f"{self.name}: a worker process was killed, most likely since memory ran out: raise memory_gb of "
                f"resources.curate.{self.name.replace('-', '_')}. Tasks that are finished are not repeated"
            ) from error

    def progress(self, rank: int) -> None:
        """Say how far the stage is and, by the tasks finished in this run, when it will be done."""
        clock = json.loads((self.work / "clock.json").read_text())
        finished = _finished(self.work / "log" / clock["stage"]) + 1  # this one is marked after it returns
        tasks, seconds = len(self.corpus.tasks), time.time() - clock["started"]
        left = seconds / (finished - clock["before"]) * (tasks - finished)
        print(
            f"{self.name}, {clock['stage']}: {finished} of {tasks} tasks ({self.corpus.rows:,} records in all), "
            f"{seconds:.0f} s, about {max(left, 0):.0f} s left",
            flush=True,
        )

    def scan(self, stage: str, columns: Sequence[str], compute: Compute) -> list[Path]:
        """Compute an array of every task's records, one row a record or not; the arrays' files in order."""
        self.execute(stage, Scan(self, self.work / stage, columns, compute))
        return sorted((self.work / stage).glob("*.npy"))

    def filter(
        self,
        block: BaseFilter,
        text: Text,
        added: Columns = (),
        hit: Columns = (),
        aside: str | None = None,
        columns: tuple[str, ...] = View.columns,
    ) -> dict[str, Any]:
        """Write `records/` and `dropped/` as `block` decides, and return the counts of the manifest.

        `added` are columns that the block gives to kept records (a column that is there already gets other values),
        `hit` columns that it gives to dropped ones. Records that it keeps with a reason are also written to the folder
        `aside`, with the hit columns. Raises CurationError unless every record is kept or dropped.
        """
        outputs = self._outputs(added, hit, aside)
        self.execute("filter", Sieve(self, block, View(text, columns), outputs))
        for name, schema in outputs.schemas.items():
            self.deliver(name, schema)
        return self._counts()

    def _outputs(self, added: Columns, hit: Columns, aside: str | None) -> Outputs:
        said = [("step", pa.string()), ("reason", pa.string()), *hit]
        roles = {KEPT: KEPT, DROPPED: DROPPED} | ({aside: ASIDE} if aside else {})
        new = {KEPT: added, DROPPED: said, ASIDE: said}
        return Outputs(
            roles,
            {name: extended(self.corpus.schema, new[role]) for name, role in roles.items()},
            {name: frozenset(column for column, _ in new[role]) for name, role in roles.items()},
        )

    def deliver(self, folder: str, schema: pa.Schema) -> None:
        """Copy the finished shards of `folder` into the artifact; without any, an empty shard says so.

        Copied, not moved: a step killed between this and its end finds them again.
        """
        source = self.work / folder
        source.mkdir(parents=True, exist_ok=True)
        if not shards(source):
            pq.write_table(schema.empty_table(), source / "00000.parquet", compression="zstd")
        shutil.copytree(source, self.out / folder, ignore=shutil.ignore_patterns("*.partial"))

    def _counts(self) -> dict[str, Any]:
        kept = sum(pq.read_metadata(shard).num_rows for shard in shards(self.out / KEPT))
        reasons: Counter[str] = Counter()
        for shard in shards(self.out / DROPPED):
            found = pc.value_counts(pq.read_table(shard, columns=["reason"])["reason"])
            reasons.update({entry["values"]: entry["counts"] for entry in found.to_pylist()})
        if self.corpus.rows != kept + reasons.total():
            raise CurationError(
                f"{self.name}: {self.corpus.rows} records in, but {kept} kept + {reasons.total()} dropped. "
                f"Delete {self.work} and run the step again"
            )
        return {"in": self.corpus.rows, "kept": kept, "dropped": dict(sorted(reasons.items()))}


_held: LocalPipelineExecutor
"""What a forked worker inherited: nothing could pickle it, steps are closures over arrays."""


def _hold(executor: LocalPipelineExecutor) -> None:
    global _held
    _held = executor


def _run_task(rank: int) -> None:
    _held._run_for_rank(rank)


def _finished(log: Path) -> int:
    """Tasks that DataTrove has marked as done."""
    return sum(1 for _ in (log / "completions").glob("*"))


def rows_of(batch: pa.RecordBatch, columns: Sequence[str]) -> list[dict[str, Any]]:
    """The columns of a batch as dictionaries, one a row also where there is no column."""
    return batch.select(columns).to_pylist() if columns else [{} for _ in range(batch.num_rows)]


def open_corpus(folders: Iterable[Path]) -> Corpus:
    """The records of some folders of shards, in the order given. Raises CurationError naming a bad file."""
    units, schemas = [], []
    for folder in folders:
        files = shards(folder)
        if not files:
            raise CurationError(f"{folder} holds no Parquet shard: is the input a manifest of records?")
        for shard in files:
            schema, found = _units(shard)
            schemas.append(schema)
            units += found
    return Corpus(_tasks(units), pa.unify_schemas(schemas))


def job(run: Run[Any]) -> Job:
    """The job of a step's run over its `records` inputs."""
    corpus = open_corpus(item.folder / KEPT for item in run.inputs["records"])
    return Job(run.settings.step, corpus, run.out, run.work, workers())


def _units(shard: Path) -> tuple[pa.Schema, list[Unit]]:
    try:
        with pq.ParquetFile(shard) as file:
            sizes = [file.metadata.row_group(index).num_rows for index in range(file.num_row_groups)]
            return file.schema_arrow.remove_metadata(), [Unit(shard, (i,), rows) for i, rows in enumerate(sizes)]
    except (pa.ArrowInvalid, OSError) as error:
        raise CurationError(
            f"{shard} is not a readable Parquet file: {error}. Remake the step that wrote it"
        ) from error


def _tasks(units: Iterable[Unit]) -> tuple[tuple[Unit, ...], ...]:
    """Row groups in tasks of about TASK records; one empty task where there is nothing to read."""
    tasks: list[list[Unit]] = [[]]
    filled = 0
    for unit in units:
        if filled and filled + unit.rows > TASK:
            tasks.append([])
            filled = 0
        tasks[-1].append(unit)
        filled += unit.rows
    return tuple(tuple(task) for task in tasks)


def extended(schema: pa.Schema, columns: Columns) -> pa.Schema:
    """The schema with the columns that it does not have yet."""
    new = [pa.field(name, kind) for name, kind in columns if name not in schema.names]
    return pa.schema([*schema, *new])
