"""Funnel: raw = kept + dropped, checked at every step."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.common.artifacts import read_json
from scripts.tables import funnel as funnel_step
from scripts.tables.funnel import FunnelError, funnel, markdown
from tests.tables.tiny_results import STEPS

POOLS = {"sft": ("format", "dedup")}
COUNTS = {
    ("sft", "format"): {"in": 10, "kept": 7, "dropped": {"empty": 2, "roles": 1, "think": 0}},
    ("sft", "dedup"): {"in": 7, "kept": 6, "dropped": {"duplicate": 1}},
}


def test_funnel_by_hand() -> None:
    assert funnel(POOLS, COUNTS) == {
        "sft": {
            "raw": 10,
            "kept": 6,
            "dropped": 4,
            "steps": [
                {"step": "format", "in": 10, "kept": 7, "dropped": {"empty": 2, "roles": 1}},
                {"step": "dedup", "in": 7, "kept": 6, "dropped": {"duplicate": 1}},
            ],
        }
    }


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({("sft", "format"): {"in": 10, "kept": 7, "dropped": {"empty": 2}}}, "10 records in, but 7 kept"),
        ({("sft", "dedup"): {"in": 8, "kept": 7, "dropped": {"duplicate": 1}}}, "format kept 7 records, dedup read 8"),
        ({("rl", "format"): {"in": 1, "kept": 1, "dropped": {}}}, "not configured: rl/format"),
    ],
)
def test_books_that_do_not_balance_are_refused(change: dict, word: str) -> None:
    with pytest.raises(FunnelError, match=word):
        funnel(POOLS, COUNTS | change)
    with pytest.raises(FunnelError, match="missing or not configured: sft/dedup"):
        funnel(POOLS, {("sft", "format"): COUNTS["sft", "format"]})


def test_markdown_by_hand() -> None:
    text = markdown(funnel(POOLS, COUNTS))
    assert "## sft: 10 raw = 6 kept + 4 dropped" in text
    assert "| format | 10 | 7 | 3 | empty 2, roles 1 |" in text


def test_step(own_copy: Path, run_step) -> None:
    manifests = [f"results/tiny/pools/sft/{name}/manifest.json" for name in STEPS]
    outputs = ["results/tiny/funnel.json", "results/tiny/funnel.md"]
    run_step(funnel_step, {"pools": {"sft": STEPS}}, outputs, pools=manifests)
    assert read_json(Path("results/tiny/funnel.json"))["pools"]["sft"]["kept"] == 44
    assert "60 raw = 44 kept + 16 dropped" in Path("results/tiny/funnel.md").read_text()
