"""One curation step at work: records in, a DataTrove filter over them, kept and dropped records out.

A step's module says what is dropped: a DataTrove filter whose `filter` returns True, or False and the reason.
What it puts into the document's metadata becomes a column if the step names that column. `corpus` says how the
input is cut into tasks, `tasks` how they run, `sieve` what happens to a row.

`NEBULA_WORKERS` (default 1) is the number of processes. It is not a setting, because it changes no byte.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from datatrove.pipeline.filters.base_filter import BaseFilter

from scripts.common.records import DROPPED, RECORDS, Columns, extended, shards
from scripts.common.step import Run, workers
from scripts.curate.corpus import CurationError, open_corpus
from scripts.curate.sieve import ASIDE, Compute, Outputs, Scan, Sieve, Text, View
from scripts.curate.tasks import Tasks


@dataclass(frozen=True)
class Job(Tasks):
    """The tasks of one curation step, and the artifact that it writes."""

    out: Path
    """The artifact's folder, which gets `records/` and `dropped/`."""

    def scan(self, stage: str, columns: Sequence[str], compute: Compute) -> list[Path]:
        """Compute an array of every task's records (not always one row per record); the arrays' files in order."""
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

        `added` are columns that the block computes for kept records (a column that exists gets the new values),
        `hit` columns that it computes for dropped ones. Records that it keeps with a reason are also written to the
        folder `aside`, with the hit columns. Raises CurationError unless every record is kept or dropped.
        """
        outputs = self._outputs(added, hit, aside)
        self.execute("filter", Sieve(self, block, View(text, columns), outputs))
        for name, schema in outputs.schemas.items():
            self.deliver(name, schema)
        return self._counts()

    def deliver(self, folder: str, schema: pa.Schema) -> None:
        """Copy the finished shards of `folder` into the artifact; if there are none, write an empty shard.

        Copied, not moved: a step that is killed between this and its end finds them again.
        """
        source = self.work / folder
        source.mkdir(parents=True, exist_ok=True)
        if not shards(source):
            pq.write_table(schema.empty_table(), source / "00000.parquet", compression="zstd")
        shutil.copytree(source, self.out / folder, ignore=shutil.ignore_patterns("*.partial"))

    def _outputs(self, added: Columns, hit: Columns, aside: str | None) -> Outputs:
        reasons = [("step", pa.string()), ("reason", pa.string()), *hit]
        roles = {RECORDS: RECORDS, DROPPED: DROPPED} | ({aside: ASIDE} if aside else {})
        new = {RECORDS: added, DROPPED: reasons, ASIDE: reasons}
        return Outputs(
            roles,
            {name: extended(self.corpus.schema, new[role]) for name, role in roles.items()},
            {name: frozenset(column for column, _ in new[role]) for name, role in roles.items()},
        )

    def _counts(self) -> dict[str, Any]:
        kept = sum(pq.read_metadata(shard).num_rows for shard in shards(self.out / RECORDS))
        reasons: Counter[str] = Counter()
        for shard in shards(self.out / DROPPED):
            counted = pc.value_counts(pq.read_table(shard, columns=["reason"])["reason"])
            reasons.update({entry["values"]: entry["counts"] for entry in counted.to_pylist()})
        if self.corpus.rows != kept + reasons.total():
            raise CurationError(
                f"{self.name}: {self.corpus.rows} records in, but {kept} kept + {reasons.total()} dropped. "
                f"Delete {self.work} and run the step again"
            )
        return {"in": self.corpus.rows, "kept": kept, "dropped": dict(sorted(reasons.items()))}


def job_of(run: Run[Any]) -> Job:
    """The job of a step's run over its `records` inputs."""
    corpus = open_corpus(item.folder / RECORDS for item in run.inputs["records"])
    return Job(run.settings.step, corpus, run.work, workers(), run.out)
