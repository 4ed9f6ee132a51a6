"""Draw the graph of rules as an SVG with one column and colour per stage, or colour Snakemake's own graphs by stage.

    python -m scripts.workflow.rulegraph [--scale paper] --out docs/rulegraph.svg
    snakemake TARGET --dag | python -m scripts.workflow.rulegraph --colour | dot -Tsvg > dag.svg
    (or --rulegraph, --filegraph)

The first needs no Graphviz. It leaves out an edge if a longer path implies it. Dashed edges go back to an earlier stage
(a trained model teaches, grades or initialises another).
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

import matplotlib
import networkx as nx
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from scripts.common.fingerprint import ROOT
from scripts.common.lineage import STAGES
from scripts.workflow.artifacts import Artifacts
from scripts.workflow.config import read

COLOURS = dict(zip(STAGES, ("#4e79a7", "#59a14f", "#edc948", "#f28e2b", "#e15759", "#b07aa1", "#9c755f"), strict=True))
"""Stage to colour, in the order of the pipeline."""
TARGET = "#777777"
COLUMN, ROW = 2.6, 0.62  # inches between columns and between rows
WIDTH, HEIGHT = 1.75, 0.32  # inches of a box
NODE = re.compile(r'^\s*(\d+)\[label = "([^"\\]+)[^"]*", color = "([^"]+)"')
FILES_NODE = re.compile(r'(<table border="2" color=)"[^"]+"([^>]*>\s*<tr><td>\s*<b><font point-size="18">)([^<]+)')
FILE = r'<tr>\n<td align="left"><font face="monospace">[^\n]*</font></td>\n?</tr>\n'
SHOWN = 8  # files that a list in a graph of files shows; a report reads more than a thousand
FILES = re.compile(f"((?:{FILE}){{{SHOWN}}})((?:{FILE})+)")
EDGE = re.compile(r"^\s*(\d+) -> (\d+)")


def stages() -> dict[str, str]:
    """Rule to stage, for the rules of every scale; also the prefix of rule names to stage, for rules made in a loop."""
    scales = sorted(file.stem for file in (ROOT / "scales").glob("*.yaml"))
    known = {rule: kind.stage for scale in scales for rule, kind in Artifacts(read(scale)).kinds.items()}
    beginnings: dict[str, set[str]] = {}
    for rule, stage in known.items():
        beginnings.setdefault(rule.partition("_")[0] + "_", set()).add(stage)
    return known | {beginning: min(of) for beginning, of in beginnings.items() if len(of) == 1}


def stage_of(rule: str, known: dict[str, str]) -> str | None:
    """The stage of a rule; None for a target rule."""
    return known.get(rule) or known.get(rule.partition("_")[0] + "_")


def read_dot(text: str) -> nx.DiGraph:
    """The graph of rules from Snakemake's `--rulegraph`, without target rules and without edges of a rule to itself."""
    names = {match[1]: match[2] for line in text.splitlines() if (match := NODE.match(line))}
    edges = [(names[match[1]], names[match[2]]) for line in text.splitlines() if (match := EDGE.match(line))]
    known = stages()
    graph = nx.DiGraph()
    graph.add_nodes_from(
        (rule, {"stage": stage}) for rule in sorted(names.values()) if (stage := stage_of(rule, known)) is not None
    )
    graph.add_edges_from(sorted((a, b) for a, b in edges if a != b and a in graph and b in graph))
    return graph


def placed(graph: nx.DiGraph) -> dict[str, tuple[int, int]]:
    """Rule to (column, row): the position of its stage in the pipeline, and of the rule in its stage."""
    places: dict[str, tuple[int, int]] = {}
    for column, stage in enumerate(COLOURS):
        members = graph.subgraph([rule for rule in graph if graph.nodes[rule]["stage"] == stage])
        condensed = nx.condensation(members)
        parts = nx.lexicographical_topological_sort(condensed, key=lambda part: min(condensed.nodes[part]["members"]))
        order = [rule for part in parts for rule in sorted(condensed.nodes[part]["members"])]
        places |= {rule: (column, row) for row, rule in enumerate(order)}
    return places


def split(graph: nx.DiGraph, places: dict[str, tuple[int, int]]) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Forward edges, without those that a longer path implies, and backward edges."""
    forward = nx.DiGraph((a, b) for a, b in graph.edges if places[a] < places[b])
    return sorted(nx.transitive_reduction(forward).edges), sorted(
        (a, b) for a, b in graph.edges if places[a] > places[b]
    )


def draw(graph: nx.DiGraph) -> Figure:
    """The picture."""
    places = placed(graph)
    rows = 1 + max(row for _, row in places.values())
    figure = Figure(figsize=(COLUMN * len(COLOURS), ROW * (rows + 1)))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(-COLUMN / 2, COLUMN * (len(COLOURS) - 0.5))
    axes.set_ylim(-ROW * (rows - 0.4), ROW * 1.4)
    boxes = {rule: _box(axes, rule, place, COLOURS[graph.nodes[rule]["stage"]]) for rule, place in places.items()}
    for column, (stage, colour) in enumerate(COLOURS.items()):
        axes.text(column * COLUMN, ROW, stage, ha="center", va="center", fontsize=13, weight="bold", color=colour)
    onward, back = split(graph, places)
    for edges, line in ((onward, "solid"), (back, "dashed")):
        for one, other in edges:
            _arrow(axes, boxes[one], boxes[other], _bend(places[one], places[other]), line)
    return figure


def _bend(one: tuple[int, int], other: tuple[int, int]) -> float:
    """Curvature of an edge: 0 between neighbours in a column, larger to go around the boxes between others."""
    if one[0] != other[0]:
        return 0.1
    return 0.0 if abs(one[1] - other[1]) == 1 else 0.45


def _pale(colour: str) -> tuple[float, ...]:
    """The colour mixed with four fifths of white; it is opaque, so that arrows pass behind a box."""
    return tuple(0.8 + 0.2 * value for value in to_rgb(colour))


def _box(axes: Axes, rule: str, place: tuple[int, int], colour: str) -> FancyBboxPatch:
    x, y = place[0] * COLUMN, -place[1] * ROW
    axes.text(x, y, rule, ha="center", va="center_baseline", fontsize=9)
    corner, style = (x - WIDTH / 2, y - HEIGHT / 2), "round,pad=0,rounding_size=0.06"
    box = FancyBboxPatch(
        corner, WIDTH, HEIGHT, boxstyle=style, facecolor=_pale(colour), edgecolor=colour, linewidth=1.4
    )
    axes.add_patch(box)
    return box


def _arrow(axes: Axes, one: FancyBboxPatch, other: FancyBboxPatch, bend: float, line: str) -> None:
    start, end = ((box.get_x() + WIDTH / 2, box.get_y() + HEIGHT / 2) for box in (one, other))
    arrow = FancyArrowPatch(
        start,
        end,
        patchA=one,
        patchB=other,
        connectionstyle=f"arc3,rad={bend}",
        arrowstyle="-|>",
        mutation_scale=9,
        color="#888888",
        linewidth=1,
        linestyle=line,
        zorder=0,
    )
    axes.add_patch(arrow)


def coloured(text: str) -> str:
    """Snakemake's `--rulegraph`, `--dag` or `--filegraph` with rules coloured by stage and long file lists cut."""
    known = stages()

    def colour(rule: str) -> str:
        return COLOURS.get(stage_of(rule, known) or "", TARGET)

    def line(before: str) -> str:
        match = NODE.match(before)
        return before if match is None else before.replace(match[3], colour(match[2]))

    of_rules = "\n".join(map(line, text.splitlines())) + "\n"
    of_files = FILES_NODE.sub(lambda match: f'{match[1]}"{colour(match[3])}"{match[2]}{match[3]}', of_rules)
    return FILES.sub(lambda match: match[1] + _row(f"and {match[2].count('<td'):,} more"), of_files)


def _row(text: str) -> str:
    """A row of a file list in a graph of files."""
    return f'<tr>\n<td align="left"><font face="monospace">{text}</font></td>\n</tr>\n'


def ask_snakemake(scale: str) -> str:
    """Snakemake's graph of all rules that a scale uses, as DOT."""
    command = [sys.executable, "-m", "snakemake", "--rulegraph", "--forceall", "--config", f"scale={scale}"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(run.stderr.strip())
    return run.stdout


def main() -> None:
    """Write the picture, or colour a graph from standard input."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.workflow.rulegraph",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--scale", default="paper")
    parser.add_argument("--out", type=Path, help="the picture: .svg, or another format that matplotlib writes")
    parser.add_argument(
        "--colour", action="store_true", help="read Snakemake's graph and write it with one colour per stage"
    )
    arguments = parser.parse_args()
    if arguments.colour == bool(arguments.out):
        parser.error("give either --out FILE, or --colour with a graph on the standard input")
    if arguments.colour:
        sys.stdout.write(coloured(sys.stdin.read()))
        return
    matplotlib.rcParams |= {
        "svg.hashsalt": "rulegraph",
        "svg.fonttype": "none",
    }  # the same bytes every time; text as text
    draw(read_dot(ask_snakemake(arguments.scale))).savefig(arguments.out, metadata={"Date": None})


if __name__ == "__main__":
    main()
