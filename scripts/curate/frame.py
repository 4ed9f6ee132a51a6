"""The frame of every curation step: records in, DataTrove blocks between, kept and dropped records out.

The records of the inputs are cut into tasks by their own size (never by the number of workers), and
each task is one rank of a DataTrove executor that writes its own shard. So the bytes are the same for
any number of workers, memory is that of a batch, and a killed step repeats only unfinished tasks.
A step's module says what is dropped: a DataTrove filter whose `filter` returns True, or False and the
reason; what it puts into the document's metadata becomes a column where the step names it.

`NEBULA_WORKERS` (default 1) processes run the tasks. How many is no setting: it changes no byte.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from datatrove.data import Document, DocumentsPipeline
from datatrove.executor.local import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.writers.parquet import ParquetWriter

from scripts.common.records import DROPPED, KEPT, shards
from scripts.common.step import Run

BATCH = 1_000  # records read or written at once
TASK = 10_000  # records: a task is the row groups that fill this many, at least one
REASON = "filter_reason"  # the key under which DataTrove's filters leave it

Columns = Sequence[tuple[str, pa.DataType]]
Text = Callable[[dict[str, Any]], str]


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

    def iterate(self, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
        """The records' `columns`, streamed in the order of tasks."""
        for task in self.tasks:
            for unit in task:
                yield from _rows(unit, columns)


class RecordReader(PipelineStep):
    """Documents of a task's records, each with its position in the corpus as id and the record as metadata.

    `text` chooses what the blocks look at. (DataTrove's own reader skips documents whose text is empty.)
    """

    type = "📖 - READER"
    name = "records"

    def __init__(self, corpus: Corpus, text: Text):
        super().__init__()
        self.tasks = corpus.tasks
        self.offsets = corpus.offsets
        self.text = text

    def run(self, data: DocumentsPipeline = None, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        rows = (row for unit in self.tasks[rank] for row in _rows(unit))
        for position, row in enumerate(rows, self.offsets[rank]):
            yield Document(text=self.text(row), id=str(position), metadata=row)


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

    def execute(self, stage: str, pipeline: list[PipelineStep], tasks: int) -> None:
        """Run a pipeline over `tasks` ranks; ranks that an earlier, killed run finished are not repeated."""
        LocalPipelineExecutor(
            pipeline=pipeline,
            tasks=tasks,
            workers=min(self.workers, tasks),
            logging_dir=str(self.work / "log" / stage),
            start_method="fork",  # forkserver would import the step's module again in each worker
        ).run()

    def scan(self, stage: str, text: Text, blocks: Sequence[PipelineStep]) -> None:
        """Pass every record through `blocks`, keeping only what they write themselves."""
        self.execute(stage, [RecordReader(self.corpus, text), *blocks], len(self.corpus.tasks))

    def writer(self, folder: str, schema: pa.Schema) -> ParquetWriter:
        """A writer of one shard a task; the schema names what of a document's metadata is written."""

        def row(_writer: ParquetWriter, document: Document) -> dict[str, Any]:
            return document.metadata | {"step": self.name, "reason": document.metadata.get(REASON)}

        return ParquetWriter(
            str(self.work / folder),
            compression="zstd",
            adapter=row,
            batch_size=BATCH,
            max_file_size=-1,
            schema=schema,
            use_content_defined_chunking=False,
            write_page_index=False,
        )

    def filter(self, block: PipelineStep, text: Text, added: Columns = (), hit: Columns = ()) -> dict[str, Any]:
        """Write `records/` and `dropped/` as `block` decides, and return the counts of the manifest.

        `added` are columns that the block gives to kept records, `hit` columns that it gives to dropped
        ones. Raises CurationError unless every record is in exactly one of the two.
        """
        kept = extended(self.corpus.schema, added)
        dropped = extended(self.corpus.schema, [("step", pa.string()), ("reason", pa.string()), *hit])
        block.exclusion_writer = self.writer(DROPPED, dropped)
        self.scan("filter", text, [block, self.writer(KEPT, kept)])
        self.deliver(KEPT, kept)
        self.deliver(DROPPED, dropped)
        return self._counts()

    def deliver(self, folder: str, schema: pa.Schema) -> None:
        """Copy the finished shards of `folder` into the artifact; without any, an empty shard says so.

        Copied, not moved: a step killed between this and its end finds them again.
        """
        source = self.work / folder
        source.mkdir(parents=True, exist_ok=True)
        if not shards(source):
            pq.write_table(schema.empty_table(), source / "00000.parquet", compression="zstd")
        shutil.copytree(source, self.out / folder)

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
    return Job(run.settings.step, corpus, run.out, run.work, int(os.environ.get("NEBULA_WORKERS", "1")))


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


def _rows(unit: Unit, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
    with pq.ParquetFile(unit.path) as file:
        for batch in file.iter_batches(batch_size=BATCH, row_groups=unit.groups, columns=columns):
            yield from batch.to_pylist()


def extended(schema: pa.Schema, columns: Columns) -> pa.Schema:
    """The schema with the columns that it does not have yet."""
    new = [pa.field(name, kind) for name, kind in columns if name not in schema.names]
    return pa.schema([*schema, *new])
