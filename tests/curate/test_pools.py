"""Pools: the steps that a pool may name, and what enters the identity of each."""

from __future__ import annotations

import importlib
from typing import get_args

import pytest
from pydantic import ValidationError

from scripts.common.fingerprint import ROOT
from scripts.common.fingerprint import closure as closure_of
from scripts.curate.pools import STEPS, Pool, Step, module_of

SETTINGS = {
    "classify": ["classify"],
    "decontaminate": ["decontaminate"],
    "exact-dedup": ["exact_dedup", "preference"],
    "format": ["format"],
    "language": ["language"],
    "length": ["length"],
    "near-dedup": ["near_dedup", "preference"],
    "pii": ["pii"],
    "refusal": ["refusal"],
    "repetition": ["repetition"],
    "truncation": ["truncation"],
}
"""Modules of `scripts/curate/settings` in the identity of each step."""


def closure(step: str) -> set[str]:
    """The project files in a step's identity."""
    return {path.relative_to(ROOT).as_posix() for path in closure_of(f"scripts.curate.{module_of(step)}")}


@pytest.mark.parametrize("step", STEPS)
def test_a_step_depends_on_its_own_settings_alone(step: str) -> None:
    prefix = "scripts/curate/settings/"
    found = sorted(path.removeprefix(prefix) for path in closure(step) if path.startswith(prefix))
    assert found == sorted(["__init__.py", *(f"{name}.py" for name in SETTINGS[step])])


@pytest.mark.parametrize("step", STEPS)
def test_a_new_filter_reruns_no_other_step(step: str) -> None:
    """A new filter edits `pools.py` and adds modules; none of them may be in the identity of a step."""
    others = {f"scripts/curate/{module_of(other)}.py" for other in STEPS if other != step}
    assert not closure(step) & {"scripts/curate/pools.py", *others}


@pytest.mark.parametrize("step", STEPS)
def test_the_language_model_belongs_to_the_language_step(step: str) -> None:
    assert ("scripts/curate/data/lid.176.ftz" in closure(step)) == (step == "language")


def test_every_step_has_a_module_that_takes_its_settings() -> None:
    kinds = get_args(get_args(Step)[0])
    assert sorted(STEPS) == sorted(SETTINGS) and len(kinds) == len(STEPS)
    for step, kind in zip(STEPS, kinds, strict=True):
        module = importlib.import_module(f"scripts.curate.{module_of(step)}")
        assert getattr(module, kind.__name__) is kind and callable(module.main)


def test_a_pool_names_each_step_once() -> None:
    steps = [{"step": "format", "last_role": "user"}, {"step": "format", "last_role": "assistant"}]
    with pytest.raises(ValidationError, match="more than once"):
        Pool.model_validate({"sources": ["a"], "steps": steps})
