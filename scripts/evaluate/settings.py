"""Settings of evaluation: benchmarks, their prompts, sampling and metric.

`Questions` is what generations depend on, `metric` what scores depend on: another metric or title
generates nothing again.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from scripts.common.settings import Domain, Engine, Sampling, Settings
from scripts.verify.settings import VerifySettings

PROMPT = "{prompt}"
GROUP = 64
"""Rows written and read at once: the tests of LiveCodeBench's answers are megabytes each, in each sample's row."""
Metric = Literal["pass@1", "strict-prompt"]


class Questions(Settings):
    """How a benchmark's items are put to a model, in one of its modes; made by `Benchmark.questions`."""

    source: str
    template: str
    samples: int
    sampling: Sampling
    limit: int | None


class Benchmark(Settings):
    """One benchmark: a source with role `benchmark`, how it is asked and how it is scored."""

    title: str
    source: str
    domain: Domain
    template: str = Field(default=PROMPT, description="the user's message; {prompt} is the item's own text")
    thinking_template: str | None = Field(default=None, description="with thinking on; null: as without")
    samples: int = Field(gt=0, description="completions a prompt; the metric is the mean over them, never the best")
    metric: Metric = Field(
        description="pass@1: mean verdict; strict-prompt: IFEval's share of prompts with every constraint followed"
    )
    instruct: Sampling = Field(description="sampling of models evaluated without thinking")
    thinking: Sampling = Field(description="sampling of models evaluated with thinking on")
    limit: int | None = Field(default=None, gt=0, description="the first n items alone")

    @field_validator("template", "thinking_template")
    @classmethod
    def _has_the_prompt(cls, template: str | None) -> str | None:
        if template is not None and PROMPT not in template:
            raise ValueError(f"the template {template!r} has no {PROMPT}: the item's text would not be asked")
        return template

    def questions(self, thinking: bool) -> Questions:
        """What generations of a model depend on, with the sampling of its mode."""
        return Questions(
            source=self.source,
            template=(self.thinking_template if thinking else None) or self.template,
            samples=self.samples,
            sampling=self.thinking if thinking else self.instruct,
            limit=self.limit,
        )


class GenerateSettings(Settings):
    """Of `scripts.evaluate.generate`."""

    benchmarks: dict[str, Questions] = Field(min_length=1)
    engine: Engine
    thinking: bool


class ScoreSettings(Settings):
    """Of `scripts.evaluate.score`."""

    model: str
    benchmarks: dict[str, Metric] = Field(min_length=1)
    verify: VerifySettings
