"""The two DataTrove steps that a curation job runs over each task: a filter, and a scan that computes arrays.

Rows stay in Arrow: they are cut out of batches and never turned into documents and back, which costs more than
most filters (docs/data.md). A document holds the text and the columns that the filter asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.filters.base_filter import BaseFilter, get_filter_result
from datatrove.utils.typeshelper import StatHints

from scripts.common.records import DROPPED, RECORDS
from scripts.curate.corpus import rows_of
from scripts.curate.shard import Shard
from scripts.curate.tasks import Tasks

ASIDE = "aside"  # the role of rows that are kept and also shown

Text = Callable[[dict[str, Any]], str]
Compute = Callable[[list[dict[str, Any]], int], npt.NDArray[Any]]
"""Takes rows and the position of the first of them in the corpus."""


@dataclass(frozen=True)
class View:
    """What a filter sees of a record: a text, and columns as the document's metadata."""

    text: Text
    columns: tuple[str, ...] = ("messages", "domain")


@dataclass(frozen=True)
class Outputs:
    """The folders that a filter writes, by name."""

    roles: dict[str, str]
    """Which rows: RECORDS, DROPPED, or ASIDE (rows that are kept with a reason)."""
    schemas: dict[str, pa.Schema]
    computed: dict[str, frozenset[str]]
    """The columns whose values come from the filter, not from the input."""


class Sieve(PipelineStep):
    """A task's records through any DataTrove filter: each row goes unchanged to `records/` or, with a reason, to
    `dropped/`."""

    type = "🔻 - FILTER"
    name = "sieve"

    def __init__(self, tasks: Tasks, block: BaseFilter, view: View, outputs: Outputs):
        super().__init__()
        self.tasks = tasks
        self.block = block
        self.view = view
        self.outputs = outputs

    def run(self, data: DocumentsPipeline = None, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        position = self.tasks.corpus.offsets[rank]
        open_shards = {
            name: Shard(self.tasks.work / name / f"{rank:05d}.parquet", schema)
            for name, schema in self.outputs.schemas.items()
        }
        for batch in self.tasks.corpus.batches(rank):
            for name, rows in self._sift(batch, position).items():
                open_shards[name].write(rows)
            position += batch.num_rows
        for shard in open_shards.values():
            shard.close()
        self.tasks.progress(rank)
        yield from ()

    def _sift(self, batch: pa.RecordBatch, position: int) -> dict[str, pa.RecordBatch]:
        """The rows of a batch, by the folder that they go to."""
        documents = [
            Document(text=self.view.text(row), id=str(position + index), metadata=row)
            for index, row in enumerate(rows_of(batch, self.view.columns))
        ]
        decisions = [get_filter_result(result) for result in self.block.filter_batch(documents)]
        for document, (_, reason) in zip(documents, decisions, strict=True):
            document.metadata |= {"step": self.tasks.name, "reason": reason}
        chosen = {
            RECORDS: [bool(keep) for keep, _ in decisions],
            DROPPED: [not keep for keep, _ in decisions],
            ASIDE: [bool(keep) and reason is not None for keep, reason in decisions],
        }
        self.stat_update(StatHints.forwarded, value=sum(chosen[RECORDS]))
        self.stat_update(StatHints.dropped, value=sum(chosen[DROPPED]))
        return {name: self._cut(batch, documents, chosen[role], name) for name, role in self.outputs.roles.items()}

    def _cut(self, batch: pa.RecordBatch, documents: list[Document], chosen: list[bool], name: str) -> pa.RecordBatch:
        """The chosen rows, with the columns that the filter computed."""
        rows = batch.filter(pa.array(chosen, pa.bool_()))
        schema, computed = self.outputs.schemas[name], self.outputs.computed[name]
        columns = []
        for field in schema:
            if field.name in computed:
                values = (one.metadata.get(field.name) for one, taken in zip(documents, chosen, strict=True) if taken)
                columns.append(pa.array(values, field.type, size=rows.num_rows))
            elif field.name in rows.schema.names:
                columns.append(rows.column(field.name).cast(field.type))
            else:
                columns.append(pa.nulls(rows.num_rows, field.type))
        return pa.RecordBatch.from_arrays(columns, schema=schema)


class Scan(PipelineStep):
    """A task's records through a function that computes an array; the array goes to `folder/<rank>.npy`."""

    type = "🔎 - SCAN"
    name = "scan"

    def __init__(self, tasks: Tasks, folder: Path, columns: Sequence[str], compute: Compute):
        super().__init__()
        self.tasks = tasks
        self.folder = folder
        self.columns = columns
        self.compute = compute

    def run(self, data: DocumentsPipeline = None, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        position, arrays = self.tasks.corpus.offsets[rank], []
        for batch in self.tasks.corpus.batches(rank, self.columns):
            arrays.append(self.compute(rows_of(batch, self.columns), position))
            position += batch.num_rows
        if arrays:
            self.folder.mkdir(parents=True, exist_ok=True)
            np.save(self.folder / f"{rank:05d}.npy", np.concatenate(arrays))
        self.tasks.progress(rank)
        yield from ()
