"""Figures: the numbers they draw, and bytes that depend on the data alone."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from scripts.common.artifacts import read_json
from scripts.tables import charts, figures
from scripts.tables.charts import Stream, histogram, png, sankey, smooth, stacked, svg
from scripts.tables.figures import FigureError, read_log
from tests.tables.tiny_results import R, make_figures

TABLE = {
    "title": "T",
    "kind": "main",
    "columns": ["a", "average"],
    "rows": [{"name": "x", "model": "h", "title": "H"}],
}


def bars(figure: Figure) -> list[tuple[float, float, float]]:
    """(left or x centre, width, height) of every bar drawn."""
    drawn = [bar for container in figure.axes[0].containers for bar in container]
    return [(round(bar.get_x(), 6), round(bar.get_width(), 6), round(bar.get_height(), 6)) for bar in drawn]


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def test_smooth_by_hand() -> None:
    """Half a window of 1 over six values: neighbours are averaged, the ends are not averaged."""
    assert smooth([0.0, 3.0, 6.0, 3.0, 0.0, 9.0]) == [0.0, 3.0, 4.0, 3.0, 4.0, 9.0]


def test_smooth_keeps_a_straight_line() -> None:
    line = [0.5 * step for step in range(200)]
    assert smooth(line) == pytest.approx(line)


def test_curves_draw_the_log(tmp_path: Path) -> None:
    figure = charts.curves("T", "loss", {"A": [(1, 3.0), (2, 2.0), (4, 1.0)], "B": [(1, 1.0), (2, 1.0)]})
    raw_a, smooth_a, raw_b, _ = figure.axes[0].lines
    assert (list(raw_a.get_xdata()), list(raw_a.get_ydata())) == ([1, 2, 4], [3.0, 2.0, 1.0])
    assert list(smooth_a.get_ydata()) == [3.0, 2.0, 1.0]
    assert raw_a.get_color() != raw_b.get_color()


def test_stacked_bars_are_shares() -> None:
    """1 of 4 and 3 of 4 records: 25 % and 75 %, the second beginning where the first ends."""
    figure = stacked("T", {"set": {"math": 3, "code": 1}, "other": {"math": 5}})
    code, none, math, all_math = bars(figure)
    assert [code[:2], none[1], math[:2], all_math[:2]] == [(0.0, 25.0), 0.0, (25.0, 75.0), (0.0, 100.0)]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["set  4", "other  5"]


def test_histogram_counts() -> None:
    figure = histogram("T", "x", {"0%": {"hard": 2}, "100%": {"easy": 3, "medium": 1}}, ("easy", "medium", "hard"))
    assert [height for _, _, height in bars(figure)] == [0, 3, 0, 1, 2, 0]
    assert texts(figure) == ["2", "4"]


def test_sankey_widths_are_shares_of_raw() -> None:
    """100 raw, 80 after the first step, 80 after the second, which drops nothing and so has no branch."""
    figure = sankey(
        "T", [Stream("format", 100, 80, {"empty": 15, "roles": 4, "think": 1}), Stream("dedup", 80, 80, {})]
    )
    widths = [patch.get_width() for patch in figure.axes[0].patches if hasattr(patch, "get_width")]
    assert widths == pytest.approx([1.0, 0.8, 0.8, 0.8, 0.8])
    assert len(figure.axes[0].patches) == 6
    assert texts(figure)[1:3] == ["\N{MINUS SIGN}20", "empty 15, roles 4, 1 more"]
    assert texts(figure)[-1] == "80  (80.0% of 100)"


def test_log_without_the_column_is_an_error(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text('{"step": 1, "loss": 2.5}\n{"step": 2, "loss": 2.0, "reward": 0.5}\n{"step": 2, "runtime": 3}\n')
    assert read_log(log, "loss") == [(1, 2.5), (2, 2.0)]
    assert read_log(log, "reward") == [(2, 0.5)]
    with pytest.raises(FigureError, match=r"no line has 'kl'; columns are \['loss', 'reward', 'runtime', 'step'\]"):
        read_log(log, "kl")


def test_every_figure_is_listed_and_there(project: Path) -> None:
    folder = R / "figures"
    listed = read_json(folder / "manifest.json")["counts"]["figures"]
    assert [entry["name"] for entry in listed] == [
        "curves-instruct-pretrain",
        "curves-instruct-sft",
        "curves-instruct-grpo",
        "curves-stages-pretrain",
        "curves-stages-sft",
        "funnel-sft",
        "mixture-domain",
        "mixture-source",
        "difficulty-rl",
    ]
    for entry in listed:
        assert (folder / f"{entry['name']}.png").read_bytes().startswith(b"\x89PNG")
        assert "</svg>" in (folder / f"{entry['name']}.svg").read_text()


def test_same_data_same_bytes(own_copy: Path) -> None:
    before = (R / "figures/manifest.json").read_bytes()
    make_figures()
    assert (R / "figures/manifest.json").read_bytes() == before


def test_no_dates_nor_versions(project: Path) -> None:
    text = (R / "figures/funnel-sft.svg").read_text()
    assert not re.search(r"dc:date|dc:creator|matplotlib\.org", text)
    assert b"Software" not in (R / "figures/funnel-sft.png").read_bytes()


def test_only_known_colours(project: Path) -> None:
    """Every colour has its counterpart on a dark page."""
    for path in (R / "figures").glob("*.svg"):
        colours = set(re.findall(r"#[0-9a-f]{6}\b", path.read_text()))
        assert colours <= charts.THEME.keys(), path.name


def test_svg_of_two_names_share_no_clip_path() -> None:
    figure = charts.curves("T", "loss", {"A": [(1, 3.0), (2, 2.0)]})
    first, second = (set(re.findall(r'clipPath id="(\w+)"', svg(figure, name))) for name in "ab")
    assert first and not first & second
    assert png(figure) == png(figure)


def test_hub_models_have_no_curve() -> None:
    settings = figures.FiguresSettings.model_validate({"tables": {"t": TABLE}, "kinds": {"h": "hub"}})
    assert list(figures.training_curves(settings, {"h": Path("nowhere")})) == []


def test_settings_are_of_json() -> None:
    """Recipes are JSON: what the rule sends must survive the way."""
    made = figures.FiguresSettings.model_validate({"tables": {"t": TABLE}, "kinds": {"h": "sft"}})
    assert figures.FiguresSettings.model_validate(json.loads(made.model_dump_json())) == made
