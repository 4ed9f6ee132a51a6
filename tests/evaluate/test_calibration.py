"""The calibration table and its page: both have the published figures, and say what is not measured yet."""

from __future__ import annotations

import re

import pytest

from scripts.common.fingerprint import ROOT
from scripts.workflow.config import Config, read

# Qwen3 technical report, tables 18 (non-thinking) and 17 (thinking): Qwen3-8B.
PUBLISHED = {
    "ifeval": (83.0, 85.0),
    "math-500": (87.4, 97.4),
    "aime-2024": (29.1, 76.0),
    "aime-2025": (20.9, 67.3),
    "livecodebench": (22.8, 57.5),
    "gpqa-diamond": (39.3, 62.0),
    "mmlu-redux": (79.5, 87.5),
    "zebra-logic": (26.7, 84.8),
}


@pytest.fixture(scope="module")
def paper() -> Config:
    return read("paper")


def test_the_table_holds_what_qwen_publishes_for_both_modes(paper: Config) -> None:
    table = paper.tables["calibration"]
    plain, thinking = table.rows
    assert set(table.columns[:-1]) == set(PUBLISHED) <= set(paper.benchmarks)
    assert {name: (plain.reported[name], thinking.reported[name]) for name in plain.reported} == PUBLISHED
    models = [paper.models[row.model] for row in table.rows]
    assert [model.thinking for model in models] == [False, True]
    assert {getattr(model, "repository", None) for model in models} == {"Qwen/Qwen3-8B"}


def test_the_page_has_the_tables_figures_and_claims_no_measurement(paper: Config) -> None:
    _, _, text = (ROOT / "docs" / "evaluation.md").read_text().partition("## Calibration")
    rows = re.findall(r"^\| (.+?) \| ([\d.]+) \| (.+?) \| ([\d.]+) \| (.+?) \|$", text, re.M)
    figures = {title.split(",")[0]: (float(plain), float(thinking)) for title, plain, _, thinking, _ in rows}
    assert figures == {paper.benchmarks[name].title: both for name, both in PUBLISHED.items()}
    assert {measured for row in rows for measured in (row[2], row[4])} == {"none yet"}


def test_the_page_names_every_benchmark_with_its_data_and_samples(paper: Config) -> None:
    text = (ROOT / "docs" / "evaluation.md").read_text()
    for name, benchmark in paper.benchmarks.items():
        source = paper.sources[benchmark.source]
        assert str(getattr(source, "dataset", None)) in text, name
        line = next(line for line in text.splitlines() if str(getattr(source, "dataset", None)) in line)
        assert f"| {benchmark.samples} |" in line, (name, line)
