"""Pools: some sources, and the steps that curate them in the order written.

A new filter is a module beside this one, its settings in `settings/`, and its name in `Step`. Only the
configuration reads this module, so the new filter reruns no step that is there already.
"""

from __future__ import annotations

from typing import Annotated, get_args

from pydantic import Field, model_validator

from scripts.common.settings import Settings
from scripts.curate.settings.classify import Classify
from scripts.curate.settings.decontaminate import Decontaminate
from scripts.curate.settings.exact_dedup import ExactDedup
from scripts.curate.settings.format import Format
from scripts.curate.settings.language import Language
from scripts.curate.settings.length import Length
from scripts.curate.settings.near_dedup import NearDedup
from scripts.curate.settings.pii import Pii
from scripts.curate.settings.refusal import Refusal
from scripts.curate.settings.repetition import Repetition
from scripts.curate.settings.truncation import Truncation

Step = Annotated[
    Format
    | Language
    | Length
    | Repetition
    | Refusal
    | Truncation
    | Pii
    | ExactDedup
    | NearDedup
    | Decontaminate
    | Classify,
    Field(discriminator="step"),
]
STEPS: tuple[str, ...] = tuple(
    get_args(settings.model_fields["step"].annotation)[0] for settings in get_args(get_args(Step)[0])
)
"""The steps' names as `pools:` writes them."""


def module_of(step: str) -> str:
    """The module under `scripts/curate` that runs a step: `near_dedup` for near-dedup."""
    return step.replace("-", "_")


class Pool(Settings):
    """A pool of records: some sources, and the steps that curate them."""

    sources: tuple[str, ...] = Field(min_length=1)
    steps: tuple[Step, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _steps_are_distinct(self) -> Pool:
        names = [step.step for step in self.steps]
        if len(set(names)) != len(names):
            raise ValueError(
                f"{names} names a step more than once: a step's folder has the step's name, so name each step once"
            )
        return self
