"""The paths of a scale's artifacts, by name: `Paths(config).model("opd")` is `results/tiny/models/opd/manifest.json`.

If a name is a wildcard of Snakemake (`"{model}"`), the path is the pattern of a rule's output.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from scripts.mix.settings import Dataset
from scripts.tables.settings import Row
from scripts.workflow import targets
from scripts.workflow.config import Config


@dataclass(frozen=True)
class Paths:
    """Paths of a configuration's artifacts, relative to the project's folder."""

    config: Config

    def at(self, *parts: str) -> str:
        """A path below the results folder."""
        return "/".join((self.config.results, *parts))

    def folder(self, *parts: str) -> str:
        """The manifest of an artifact that is a folder."""
        return self.at(*parts, "manifest.json")

    def log(self, *parts: str) -> str:
        """The log of a job; its first line is the command that repeats the job by hand."""
        return self.at("logs", *parts) + ".log"

    def everything(self) -> list[str]:
        """The files that a run without targets makes; Snakemake adds everything that they depend on."""
        last = self.at("report.html") if self.config.tables else self.at("funnel.json")
        return [last, *self.audit(), *(self.dataset(name) for name in self.config.datasets)]

    # --- data ---

    def raw(self, source: str) -> str:
        """The manifest of a normalised source."""
        return self.folder("raw", source)

    def raws(self, sources: Iterable[str]) -> list[str]:
        """Several normalised sources, each once."""
        return [self.raw(name) for name in dict.fromkeys(sources)]

    def classifier(self) -> str:
        """The domain classifier."""
        return self.folder("classifiers", "domain")

    def pool_step(self, pool: str, step: str) -> str:
        """A pool after one of its steps."""
        return self.folder("pools", pool, step)

    def pool(self, name: str) -> str:
        """A pool after its last step."""
        return self.pool_step(name, self.config.pools[name].steps[-1].step)

    def pool_input(self, name: str, step: str) -> list[str]:
        """The records that a pool's step reads: the output of the step before it, or the pool's sources."""
        steps: list[str] = [item.step for item in self.config.pools[name].steps]
        position = steps.index(step)
        if position == 0:
            return self.raws(self.config.pools[name].sources)
        return [self.pool_step(name, steps[position - 1])]

    def decontaminated(self) -> list[str]:
        """The decontamination step of every pool that has one."""
        pools = self.config.pools.items()
        names = [name for name, pool in pools if "decontaminate" in [step.step for step in pool.steps]]
        return [self.pool_step(name, "decontaminate") for name in names]

    def audit(self) -> list[str]:
        """The audit of decontamination; empty if no pool is decontaminated."""
        return [self.at("audit.md")] if self.decontaminated() else []

    # --- responses, grades, data sets ---

    def samples(self, response_set: str, teacher: str) -> str:
        """One teacher's samples for a response set."""
        return self.folder("responses", response_set, "samples", teacher)

    def all_samples(self, response_set: str) -> list[str]:
        """The samples of all teachers of a response set."""
        return [self.samples(response_set, teacher) for teacher in self.config.responses[response_set].teachers]

    def judge_scores(self, response_set: str) -> list[str]:
        """The judge's scores of a response set; empty if it has no judge."""
        return [self.folder("responses", response_set, "scores")] if self.config.responses[response_set].judge else []

    def verdicts(self, response_set: str) -> str:
        """A response set's verdicts."""
        return self.folder("responses", response_set, "verdicts")

    def attempts(self, graded_set: str) -> str:
        """The student's attempts at a graded set's prompts."""
        return self.folder("attempts", graded_set)

    def graded(self, name: str) -> str:
        """A graded set."""
        return self.folder("graded", name)

    def embeddings(self, encoder: str, pool: str) -> str:
        """The vectors of a pool's prompts."""
        return self.folder("embeddings", encoder, pool)

    def dataset(self, name: str) -> str:
        """A data set."""
        return self.folder("datasets", name)

    def dataset_origin(self, dataset: Dataset) -> tuple[str, list[str]]:
        """The inputs that a data set is made from: the step's option, and the option's paths."""
        if dataset.pool is not None:
            return "--pool", [self.pool(dataset.pool)]
        if dataset.responses is not None:
            return "--verdicts", [self.verdicts(dataset.responses)]
        if dataset.graded is not None:
            return "--graded", [self.graded(dataset.graded)]
        return "--sources", self.raws(dataset.sources or ())

    def vectors(self, dataset: Dataset) -> list[str]:
        """The vectors by which a data set is selected; empty if its selection names no encoder."""
        encoder = dataset.select.encoder
        return [self.embeddings(encoder, self.config.pool_of(dataset))] if encoder else []

    # --- models and their results ---

    def model(self, name: str) -> str:
        """A model."""
        return self.folder("models", name)

    def teachers(self, name: str) -> dict[str, str]:
        """Domain to teacher of a distilled model; a teacher of all domains has the key `all`."""
        model = self.config.models[name]
        teacher, teachers = getattr(model, "teacher", None), getattr(model, "teachers", None)
        return {"all": teacher} if teacher is not None else dict(teachers or {})

    def generations(self, model: str, benchmark: str) -> str:
        """A model's answers to a benchmark."""
        return self.at("generations", model, f"{benchmark}.parquet")

    def scores(self, model: str, benchmark: str) -> str:
        """A model's scores on a benchmark."""
        return self.at("scores", model, f"{benchmark}.json")

    # --- tables ---

    def cell(self, table: str, row: str, column: str) -> str:
        """A cell."""
        return self.at("cells", table, row, f"{column}.json")

    def cells(self, table: str) -> list[str]:
        """Every cell of a table, row by row. Raises UnknownTarget if there is no such table."""
        known = self.config.tables[targets.known("table", table, self.config.tables)]
        return [self.cell(table, row.name, column) for row in known.rows for column in known.columns]

    def row(self, table: str, row: str, column: str) -> Row:
        """The row of a cell. Raises UnknownTarget if there is no such cell."""
        return targets.row_of(self.config, table, row, column)

    def cell_scores(self, table: str, row: str, column: str) -> list[str]:
        """The scores behind a cell: its benchmark's scores; for the average, those of the table's benchmarks."""
        model = self.row(table, row, column).model
        columns = self.config.tables[table].columns
        benchmarks = columns[:-1] if column == columns[-1] else (column,)
        return [self.scores(model, benchmark) for benchmark in benchmarks]

    def answers(self, table: str) -> list[tuple[str, str]]:
        """The pairs (model, benchmark) that a table shows, each once."""
        known = self.config.tables[table]
        models = dict.fromkeys(row.model for row in known.rows)
        return [(model, column) for model in models for column in known.columns[:-1]]

    def table(self, name: str, suffix: str = "json") -> str:
        """A table."""
        return self.at("tables", f"{name}.{suffix}")
