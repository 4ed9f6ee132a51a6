"""Draw the figures as SVG and PNG: training and reward curves, the funnel, mixtures, difficulty.

    python -m scripts.tables.figures --recipe JSON --models MANIFEST... --datasets MANIFEST... --graded MANIFEST... \\
        --funnel results/tiny/funnel.json --out results/tiny/figures/manifest.json

The manifest's counts list the figures in the order of the report, each with its kind and its subject.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from matplotlib.figure import Figure

from scripts.common.artifacts import Artifact, read_json
from scripts.common.records import RECORDS, read_table
from scripts.common.step import Run, step
from scripts.tables import charts
from scripts.tables.settings import FiguresSettings, Table

LOG = "log.jsonl"
BANDS = ("easy", "medium", "hard")
PANELS = {
    "pretrain": ("Pretraining", "loss", "cross-entropy (nats per token)"),
    "sft": ("Supervised fine-tuning", "loss", "cross-entropy (nats per token)"),
    "grpo": ("GRPO", "reward", "mean reward"),
    "opd": ("On-policy distillation", "loss", "divergence from the teacher"),
}
"""Kind of training to title, column of the log, and axis label."""


class FigureError(ValueError):
    """An artifact lacks something that a figure needs."""


@dataclass(frozen=True)
class Drawing:
    """A figure and its place in the report."""

    name: str
    kind: Literal["curves", "funnel", "mixture", "difficulty"]
    about: str
    """The table, pool or graded set that it shows; `all` if it shows all data sets."""
    title: str
    figure: Figure


def training_curves(settings: FiguresSettings, models: Mapping[str, Path]) -> Iterator[Drawing]:
    """For each table, one panel per kind of training of its models."""
    for name, table in settings.tables.items():
        for kind, (title, column, label) in PANELS.items():
            lines = {
                row_title: read_log(models[model] / LOG, column)
                for model, row_title in _titles(table).items()
                if settings.kinds[model] == kind and model in models
            }
            if lines:
                full = f"{title}: {table.title}"
                yield Drawing(f"curves-{name}-{kind}", "curves", name, full, charts.curves(title, label, lines))


def _titles(table: Table) -> dict[str, str]:
    return {row.model: row.title for row in table.rows}


def read_log(path: Path, column: str) -> list[tuple[int, float]]:
    """(step, value) for each line of the log that has the column. Raises FigureError if no line has it."""
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    points = [(entry["step"], entry[column]) for entry in entries if column in entry]
    if not points:
        raise FigureError(f"{path}: no line has {column!r}; columns are {sorted({key for e in entries for key in e})}")
    return points


def funnels(funnel: Mapping[str, Any]) -> Iterator[Drawing]:
    """One Sankey diagram per pool, the largest pool first."""
    for name, pool in sorted(funnel["pools"].items(), key=lambda item: -item[1]["raw"]):
        streams = [charts.Stream(step["step"], step["in"], step["kept"], step["dropped"]) for step in pool["steps"]]
        yield Drawing(f"funnel-{name}", "funnel", name, f"Pool {name}", charts.sankey(f"Pool {name}", streams))


def mixtures(datasets: Mapping[str, Path]) -> Iterator[Drawing]:
    """Shares of domains and of sources in every data set."""
    tables = {name: read_table(folder / RECORDS, ["domain", "source"]) for name, folder in datasets.items()}
    for column in ("domain", "source"):
        bars = {name: Counter(rows.column(column).to_pylist()) for name, rows in tables.items()}
        title = f"Data sets by {column}"
        yield Drawing(f"mixture-{column}", "mixture", "all", title, charts.stacked(title, bars))


def difficulties(graded: Mapping[str, Path]) -> Iterator[Drawing]:
    """For each graded set, the number of prompts by the student's pass rate."""
    for name, folder in graded.items():
        rows = read_table(folder / RECORDS, ["pass_rate", "band"]).to_pylist()
        bars: dict[str, Counter[str]] = {}
        for rate in sorted({row["pass_rate"] for row in rows}):
            bars[f"{rate:.0%}"] = Counter()
        for row in rows:
            bars[f"{row['pass_rate']:.0%}"][row["band"]] += 1
        title = f"Difficulty of {name}"
        drawn = charts.histogram(title, "share of the student's samples that are right", bars, BANDS)
        yield Drawing(f"difficulty-{name}", "difficulty", name, title, drawn)


def by_name(artifacts: Sequence[Artifact]) -> dict[str, Path]:
    """Folders of artifacts by their name, sorted."""
    return {item.folder.name: item.folder for item in sorted(artifacts, key=lambda item: item.folder.name)}


def draw(run: Run[FiguresSettings]) -> Iterator[Drawing]:
    """All figures of a run."""
    yield from training_curves(run.settings, by_name(run.inputs["models"]))
    yield from funnels(read_json(run.input("funnel").path))
    if run.inputs["datasets"]:
        yield from mixtures(by_name(run.inputs["datasets"]))
    yield from difficulties(by_name(run.inputs["graded"]))


def main() -> None:
    with step(__spec__, inputs=("models", "datasets", "graded", "funnel"), settings=FiguresSettings) as run:
        listed = []
        for drawing in draw(run):
            (run.out / f"{drawing.name}.svg").write_text(charts.svg(drawing.figure, drawing.name))
            (run.out / f"{drawing.name}.png").write_bytes(charts.png(drawing.figure))
            listed.append({"name": drawing.name, "kind": drawing.kind, "about": drawing.about, "title": drawing.title})
        run.counts["figures"] = listed


if __name__ == "__main__":
    main()
