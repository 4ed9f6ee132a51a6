"""Each kind of training has all of its parts: a new kind without one of them fails here, not after its training."""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import get_args

import pytest

from scripts.common.fingerprint import ROOT
from scripts.train.settings.base import TrainedModel
from scripts.train.settings.models import Model, Training
from scripts.workflow import config
from scripts.workflow.kinds import kinds

KINDS = {
    get_args(model.model_fields["kind"].annotation)[0]: model
    for model in get_args(get_args(Model)[0])
    if issubclass(model, TrainedModel)
}


def test_the_kinds_are_those_of_the_defaults() -> None:
    assert KINDS.keys() == Training.model_fields.keys() and len(KINDS) >= 4


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_has_its_step_its_rule_and_its_words_in_the_card(kind: str) -> None:
    settings = KINDS[kind].SETTINGS
    assert settings.tag and settings.method
    assert find_spec(f"scripts.train.{kind}"), "the step"
    (artifact,) = [each for each in kinds(config.read("tiny")) if each.step == f"train.{kind}"]
    assert re.search(rf"^rule {artifact.rule}:$", (ROOT / "rules" / "train.smk").read_text(), re.M), "the rule"
