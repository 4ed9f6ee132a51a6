"""What both deduplications share: of each group of equal records one is kept, by a stated preference.

The copy of the source with the highest priority is kept; among those the first in the pool's order.
A record's position counts over the whole corpus, so nothing depends on tasks or workers.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from datatrove.data import Document
from datatrove.pipeline.filters.base_filter import BaseFilter

from scripts.curate.frame import Corpus

Positions = npt.NDArray[np.int64]
HIT = [("duplicate_of", pa.string())]


def preferred(positions: Positions, groups: Positions, priorities: Positions) -> tuple[Positions, Positions]:
    """The duplicates' positions, ascending, and for each the position of the record kept instead.

    `positions` and `groups` (one entry a grouped record) say which group a record is in; `priorities`
    has an entry for every record of the corpus.
    """
    order = np.lexsort((positions, -priorities[positions], groups))
    positions, groups = positions[order], groups[order]
    first = np.ones(len(groups), dtype=bool)
    first[1:] = groups[1:] != groups[:-1]
    keepers = positions[first][np.cumsum(first) - 1]
    duplicates, kept = positions[~first], keepers[~first]
    ascending = np.argsort(duplicates)
    return duplicates[ascending], kept[ascending]


def priorities_of(corpus: Corpus, priorities: dict[str, int]) -> Positions:
    """The priority of every record of the corpus, by its source."""
    return np.fromiter((priorities.get(row["source"], 0) for row in corpus.iterate(["source"])), np.int64, corpus.rows)


def save(
    path: Path,
    corpus: Corpus,
    duplicates: Positions,
    keepers: Positions,
    similarity: npt.NDArray[np.float64] | None = None,
) -> None:
    """Write the table that `DuplicateFilter` looks up: position of each duplicate, and its hit columns."""
    wanted = set(keepers.tolist())
    ids = {i: row["id"] for i, row in enumerate(corpus.iterate(["id"])) if i in wanted}
    columns: dict[str, Any] = {"duplicate_of": np.array([ids[keeper] for keeper in keepers.tolist()], dtype="U")}
    if similarity is not None:
        columns["similarity"] = similarity
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, position=duplicates, **columns)
    load.cache_clear()


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
