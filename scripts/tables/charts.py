"""Charts as matplotlib figures: curves, stacked bars, histograms, the funnel as a Sankey diagram.

All charts share one style: no frame, a light grid, direct labels. The colours are few and fixed, so that the report can
replace them on a dark page (`THEME`). The bytes of an SVG or PNG depend on the data alone.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path as Outline
from matplotlib.ticker import MaxNLocator

INK, MUTED, GRID, LOST = "#1c2128", "#656d76", "#dde1e6", "#c9ced6"
SERIES = ("#2f6fba", "#d9822b", "#3a9a6d", "#b5485d", "#7a61b8", "#8a7a3f", "#3aa0b0", "#a0567f", "#57606a", "#93b35a")
THEME = {INK: "ink", MUTED: "muted", GRID: "grid", LOST: "lost"} | {
    colour: f"series-{number}" for number, colour in enumerate(SERIES, 1)
}
"""Colour to the name of the variable in the report's style sheet."""
WIDTH = 5.6  # inches: readable unscaled on a phone in landscape, and two fit side by side on a desktop
WINDOWS = 12  # how many windows of the moving average fit side by side on a curve
LEGEND_ROW = 13  # points
FAINT = 0.45  # opacity
DOTS = 160  # dots per inch of a PNG
STYLE: Any = {
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "figure.constrained_layout.use": True,
}


@contextmanager
def _canvas(height: float) -> Iterator[tuple[Figure, Axes]]:
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, height))
        yield figure, figure.add_subplot()


def svg(figure: Figure, name: str) -> str:
    """The figure as SVG; `name` makes its identifiers differ from those of other figures on a page."""
    out = io.StringIO()
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": name}):
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return out.getvalue()


def png(figure: Figure) -> bytes:
    """The figure as PNG on a white background."""
    out = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(out, format="png", dpi=DOTS, facecolor="white", metadata={"Software": None})
    return out.getvalue()


def curves(title: str, label: str, lines: Mapping[str, Sequence[tuple[int, float]]]) -> Figure:
    """One line per model over optimizer steps: faint values, and their moving average in full colour."""
    with _canvas(3.0 + 0.18 * ((len(lines) + 1) // 2)) as (figure, axes):
        for colour, (name, points) in zip(_colours(len(lines)), lines.items(), strict=True):
            steps, values = zip(*points, strict=True)
            axes.plot(steps, values, color=colour, alpha=0.28, linewidth=0.8)
            axes.plot(steps, smooth(values), color=colour, linewidth=1.7, label=name)
        axes.set(xlabel="optimizer step", ylabel=label)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.grid(axis="x", visible=False)
        _heading(axes, title)
    return figure


def smooth(values: Sequence[float]) -> list[float]:
    """Centred moving average; the window narrows towards both ends, so that the average does not lag."""
    half = max(len(values) // WINDOWS // 2, 1)
    averages = []
    for index in range(len(values)):
        reach = min(half, index, len(values) - 1 - index)
        part = values[index - reach : index + reach + 1]
        averages.append(sum(part) / len(part))
    return averages


def stacked(title: str, bars: Mapping[str, Mapping[str, int]]) -> Figure:
    """One horizontal bar of 100 % per data set, split by part; its label gives the number of records."""
    parts = sorted({part for bar in bars.values() for part in bar})
    with _canvas(0.9 + 0.27 * len(bars) + 0.2 * ((len(parts) + 2) // 3)) as (figure, axes):
        names = [f"{name}  {sum(bar.values()):,}" for name, bar in bars.items()]
        left = [0.0] * len(bars)
        for number, (colour, part) in enumerate(zip(_colours(len(parts)), parts, strict=True)):
            shares = [100 * bar.get(part, 0) / max(sum(bar.values()), 1) for bar in bars.values()]
            faint = FAINT if number >= len(SERIES) else None  # the colours are used a second time
            axes.barh(names, shares, left=left, color=colour, alpha=faint, height=0.68, label=part)
            left = [start + share for start, share in zip(left, shares, strict=True)]
        axes.set(xlim=(0, 100), ylim=(len(bars) - 0.5, -0.6), xlabel="% of records")
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", length=0, labelcolor=INK)
        _heading(axes, title, columns=3)
    return figure


def histogram(title: str, label: str, bars: Mapping[str, Mapping[str, int]], groups: Sequence[str]) -> Figure:
    """Bars of counts in the order of `bars`, stacked and coloured by group, each with its total on top."""
    with _canvas(2.7) as (figure, axes):
        bottom = [0] * len(bars)
        for colour, group in zip((SERIES[2], SERIES[0], SERIES[3]), groups, strict=True):
            heights = [bar.get(group, 0) for bar in bars.values()]
            axes.bar(list(bars), heights, bottom=bottom, color=colour, width=0.72, label=group)
            bottom = [start + height for start, height in zip(bottom, heights, strict=True)]
        for position, total in enumerate(bottom):
            axes.annotate(f"{total:,}", (position, total), (0, 2), textcoords="offset points", ha="center", fontsize=8)
        axes.set(xlabel=label, ylabel="prompts")
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.grid(axis="x", visible=False)
        _heading(axes, title, columns=3)
    return figure


@dataclass(frozen=True)
class Stream:
    """One step of a funnel: records in, records kept, and records dropped by reason."""

    name: str
    entered: int
    kept: int
    reasons: Mapping[str, int]


def sankey(title: str, streams: Sequence[Stream]) -> Figure:
    """The funnel from top to bottom: the band shows the records kept, a branch to the right those that a step dropped.

    Widths are proportional to the number of records, but a branch is at least as wide as a hairline.
    """
    raw = max(streams[0].entered, 1)
    with _canvas(0.75 + 0.62 * len(streams)) as (figure, axes):
        for row, stream in enumerate(streams):
            _band(axes, row, stream, raw)
        end = len(streams)
        kept = streams[-1].kept
        axes.add_patch(Rectangle((0, end), kept / raw, 0.5, facecolor=SERIES[0], linewidth=0))
        axes.text(-0.03, end + 0.25, "kept", ha="right", va="center")
        axes.text(kept / raw + 0.03, end + 0.25, f"{kept:,}  ({kept / raw:.1%} of {raw:,})", va="center", weight="bold")
        axes.set(xlim=(-0.42, 2.05), ylim=(end + 0.6, -0.15), title=title)
        axes.axis("off")
    return figure


def _band(axes: Axes, row: int, stream: Stream, raw: int) -> None:
    """One row of the diagram: y grows downwards, x is the number of records as a share of the raw records."""
    entered, kept = stream.entered / raw, stream.kept / raw
    axes.add_patch(Rectangle((0, row), entered, 0.12, facecolor=SERIES[0], linewidth=0))
    axes.add_patch(Rectangle((0, row + 0.12), kept, 0.88, facecolor=SERIES[0], alpha=0.55, linewidth=0))
    axes.text(-0.03, row + 0.06, stream.name, ha="right", va="center")
    dropped = stream.entered - stream.kept
    if not dropped:
        return
    x, width, foot = 1.12, entered - kept, row + 0.5
    outline = [(kept, row + 0.12), (kept, foot + 0.02), (kept + 0.06, foot + 0.02), (x, foot + 0.02)]
    outline += [(x, foot - _thickness(width)), (entered, foot - _thickness(width)), (entered, foot - 0.1)]
    outline += [(entered, row + 0.12)]
    codes = [Outline.MOVETO, *[Outline.CURVE4] * 3, Outline.LINETO, *[Outline.CURVE4] * 3]
    axes.add_patch(PathPatch(Outline(outline, codes), facecolor=LOST, edgecolor=LOST, linewidth=0.6))
    reasons = sorted(stream.reasons.items(), key=lambda item: (-item[1], item[0]))
    axes.text(x + 0.03, foot - 0.09, f"-{dropped:,}".replace("-", "\N{MINUS SIGN}"), va="center", weight="bold")
    axes.text(x + 0.03, foot + 0.14, _reasons(reasons), va="center", fontsize=7.5, color=MUTED)


def _thickness(share: float) -> float:
    """Height of a branch's end (in rows) for a share of the raw records."""
    return min(max(share, 0.01), 0.34)


def _reasons(reasons: Sequence[tuple[str, int]]) -> str:
    """The most frequent reasons, as many as fit beside a branch."""
    shown = [f"{reason} {number:,}" for reason, number in reasons[:2]]
    return ", ".join(shown) + (f", {len(reasons) - 2} more" if len(reasons) > 2 else "")


def _colours(count: int) -> list[str]:
    return [SERIES[index % len(SERIES)] for index in range(count)]


def _heading(axes: Axes, title: str, columns: int = 2) -> None:
    """Set the title and, between it and the axes, the legend in columns."""
    entries = len(axes.get_legend_handles_labels()[1])
    axes.set_title(title, pad=8 + LEGEND_ROW * -(-entries // columns))
    axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=columns, handlelength=1.2, borderaxespad=0.2)
