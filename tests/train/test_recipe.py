"""docs/recipe.md states, with its origin, every value of every training of the paper's scale."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

import pytest

from scripts.common.fingerprint import ROOT
from scripts.workflow import config
from scripts.workflow.config import Config

SECTIONS = {"sft": "SFT", "grpo": "GRPO", "opd": "OPD and MOPD"}
SHARED = "Shared by all"


@pytest.fixture(scope="module")
def paper() -> Config:
    return config.read("paper")


def stated(title: str) -> dict[str, str]:
    """A section's text for each setting. A row without a name continues the settings of the row above."""
    _, _, text = (ROOT / "docs" / "recipe.md").read_text().partition(f"\n### {title}\n")
    names: list[str] = []
    texts: dict[str, str] = {}
    for line in text.partition("\n### ")[0].partition("\n## ")[0].splitlines():
        cells = [cell.strip() for cell in line.split(" | ")]
        if not line.startswith("|") or len(cells) != 3:
            continue
        names = re.findall(r"`(\w+)`", cells[0]) or names
        assert cells[2].rstrip("| "), f"{title}: {names} has no origin"
        for name in names:
            texts[name] = f"{texts.get(name, '')} {cells[1]}"
    return texts


def says(text: str, value: Any) -> bool:
    """Whether the text contains the value: a number in any notation, anything else as YAML writes it."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return {True: "true", False: "false"}.get(value, value) in re.findall(r"[\w-]+", text)
    numbers = re.findall(r"\d[\d,]*(?:\.\d+)?(?:e-?\d+)?", text)
    return any(float(number.replace(",", "")) == value for number in numbers)


@pytest.mark.parametrize("kind", SECTIONS)
def test_every_value_of_every_training_has_an_origin(paper: Config, kind: str) -> None:
    page, missing = stated(SHARED) | stated(SECTIONS[kind]), defaultdict(list)
    for name in (name for name, model in paper.models.items() if model.kind == kind):
        settings = paper.training_of(name).model_dump(mode="json")
        settings |= settings.pop("rollout", {})
        for setting, value in settings.items():
            if value is not None and not says(page.get(setting, ""), value):
                missing[f"{setting}: {value} is not in {page.get(setting)!r}"].append(name)
    assert not missing
