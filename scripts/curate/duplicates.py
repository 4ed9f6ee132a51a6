"""What both deduplications share: one record of each group of equal ones is kept, by a stated preference.

A record with an answer that a verifier can check is kept before one without, then the one whose source has the
higher priority (newer sources have), then the first in the pool's order.
A record's position counts over the whole corpus, so nothing depends on tasks or workers.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from datatrove.data import Document
from datatrove.pipeline.filters.base_filter import BaseFilter

from scripts.common.records import Columns
from scripts.curate.corpus import Corpus
from scripts.curate.job import Job

Positions = npt.NDArray[np.int64]
HIT = [("duplicate_of", pa.string())]


def preferred(positions: Positions, groups: Positions, preferences: Positions) -> tuple[Positions, Positions]:
    """The duplicates' positions, ascending, and for each the position of the record kept instead.

    `positions` and `groups` have one entry per grouped record and say which group it is in; `preferences`
    has one entry per record of the corpus.
    """
    order = np.lexsort((positions, -preferences[positions], groups))
    positions, groups = positions[order], groups[order]
    first = np.ones(len(groups), dtype=bool)
    first[1:] = groups[1:] != groups[:-1]
    keepers = positions[first][np.cumsum(first) - 1]
    duplicates, kept = positions[~first], keepers[~first]
    ascending = np.argsort(duplicates)
    return duplicates[ascending], kept[ascending]


def preferences_of(corpus: Corpus, priorities: dict[str, int]) -> Positions:
    """The preference of each record of the corpus, higher is kept: a verifiable answer first, then the source."""
    span = max(map(abs, priorities.values()), default=0) + 1
    found = [np.empty(0, np.int64)]
    for batch in corpus.all_batches(["source", "answer.kind"]):
        sources = batch.column("source").dictionary_encode(null_encoding="encode")
        values = np.array([priorities.get(name, 0) for name in sources.dictionary.to_pylist()], np.int64)
        kinds = pc.fill_null(pc.struct_field(batch.column("answer"), "kind"), "none")
        verifiable = pc.not_equal(kinds, "none").to_numpy(zero_copy_only=False)
        found.append(values[sources.indices.to_numpy(zero_copy_only=False)] + 2 * span * verifiable)
    return np.concatenate(found)


def save(
    path: Path,
    corpus: Corpus,
    duplicates: Positions,
    keepers: Positions,
    similarity: npt.NDArray[np.float64] | None = None,
) -> None:
    """Write the table that `DuplicateFilter` looks up: position of each duplicate, and its hit columns."""
    columns: dict[str, Any] = {"duplicate_of": _ids(corpus, keepers)}
    if similarity is not None:
        columns["similarity"] = similarity
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, position=duplicates, **columns)
    load.cache_clear()


def _ids(corpus: Corpus, positions: Positions) -> npt.NDArray[np.str_]:
    """The ids of the records at the positions."""
    wanted, places = np.unique(positions, return_inverse=True)
    found, start = [np.empty(0, "U1")], 0
    for batch in corpus.all_batches(["id"]):
        first, end = np.searchsorted(wanted, (start, start + batch.num_rows))
        ids = batch.column("id").take(pa.array(wanted[first:end] - start))
        found.append(np.array(ids.to_pylist(), "U"))
        start += batch.num_rows
    return np.concatenate(found)[places]


@cache
def load(path: Path) -> dict[str, np.ndarray]:
    """The columns that `save` wrote."""
    with np.load(path) as arrays:
        return dict(arrays)


class DuplicateFilter(BaseFilter):
    """Drops the records that a table written by `save` names; a dropped one says which was kept instead."""

    name = "duplicates"

    def __init__(self, table: Path, reason: str):
        super().__init__()
        self.table = table
        self.reason = reason

    def filter(self, doc: Document) -> bool | tuple[bool, str]:
        columns, position = load(self.table), int(doc.id)
        row = int(np.searchsorted(columns["position"], position))
        if row == len(columns["position"]) or columns["position"][row] != position:
            return True
        doc.metadata |= {name: column[row].item() for name, column in columns.items() if name != "position"}
        return False, self.reason


def drop(work: Job, table: Path, reason: str, hit: Columns) -> dict[str, Any]:
    """Write kept and dropped records by a table of `save`, which needs no column; the counts of the manifest."""
    return work.filter(DuplicateFilter(table, reason), lambda _: "", hit=hit, columns=())
