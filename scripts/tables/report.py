"""Write the report: one self-contained HTML page, made from artifacts alone.

    python -m scripts.tables.report --recipe JSON --tables TABLE.json... --cells CELL... --scores SCORE... \\
        --generations PARQUET... --figures MANIFEST --funnel FUNNEL.json --pools DECONTAMINATE_MANIFEST... \\
        --out results/tiny/report.html

The tables keep the order of the command line, the main ones first. The page needs no network; opened from the results
folder, it also links to the files of the cells.
"""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from scripts.common.artifacts import Artifact, read_json
from scripts.common.lineage import trace
from scripts.common.step import Run, step
from scripts.tables.measurement import Cell
from scripts.tables.page.html import inline, render
from scripts.tables.page.view import (
    by_stage,
    cell_data,
    costs,
    facts,
    hit_counts,
    hits,
    lineage_data,
    sample_data,
    verdicts,
)
from scripts.tables.render import verdict_note
from scripts.tables.results import main_first, read_result
from scripts.tables.settings import ReportSettings

INPUTS = ("tables", "cells", "scores", "generations", "figures", "funnel", "pools")


class ReportError(ValueError):
    """The inputs do not make a whole report."""


def figures(artifact: Artifact) -> list[dict[str, Any]]:
    """The figures in their order, each with its SVG prepared for the page."""
    return [
        figure
        | {"svg": inline((artifact.folder / f"{figure['name']}.svg").read_text(), figure["name"], figure["title"])}
        for figure in artifact.counts["figures"]
    ]


def context(run: Run[ReportSettings]) -> dict[str, Any]:
    """Everything that the template names. Raises ArtifactError if the lineage is inconsistent."""
    everything = trace(item.path for items in run.inputs.values() for item in items)
    everything.digests()
    root = run.outputs[0].parent
    results = main_first(read_result(item.path) for item in run.inputs["tables"])
    if not results:
        raise ReportError("the report needs at least one table: give --tables")
    cells = {item.path: Cell.read(item.path) for item in run.inputs["cells"]}
    drawn: list[dict[str, str | Markup]] = figures(run.input("figures"))
    generations = {f"{item.path.parent.name}/{item.path.stem}": item.path for item in run.inputs["generations"]}
    nodes = list(everything.nodes.values())
    return {
        "scale": run.settings.scale,
        "results": results,
        "figures": drawn,
        "funnel": read_json(run.input("funnel").path)["pools"],
        "hit_counts": hit_counts(run.inputs["pools"]),
        "hits": hits(run.inputs["pools"], run.settings),
        "verdicts": verdicts(results),
        "verdict_note": verdict_note(results[0]),
        "steps": (steps := costs(nodes)),
        "stages": by_stage(steps),
        "facts": facts(nodes),
        "data": {
            "artifacts": lineage_data(everything, root),
            "cells": cell_data(results, cells, everything, root),
            "samples": sample_data((item.path for item in run.inputs["scores"]), generations, run.settings),
        },
    }


def main() -> None:
    with step(__spec__, inputs=INPUTS, settings=ReportSettings) as run:
        (run.out / run.outputs[0].name).write_text(render("report.html.j2", **context(run)))


if __name__ == "__main__":
    main()
