"""Benchmarks: the entries of `benchmarks:`. Only the configuration reads this module, so it reruns nothing.

`Questions` holds what generations depend on, `metric` what scores depend on: another metric or title generates nothing
again.
"""

from __future__ import annotations

from pydantic import Field

from scripts.common.chat.templates import PROMPT, PromptTemplate
from scripts.common.settings import Domain, Sampling, Settings
from scripts.evaluate.settings.generate import Questions
from scripts.evaluate.settings.score import Metric


class Benchmark(Settings):
    """One benchmark: a source with the role `benchmark`, how its items are put to a model, and how it is scored."""

    title: str
    source: str
    domain: Domain
    template: PromptTemplate = Field(default=PROMPT, description="the user's message; {prompt} is the item's own text")
    thinking_template: PromptTemplate | None = Field(
        default=None, description="template of models that think; null: the same template"
    )
    samples: int = Field(gt=0, description="completions per prompt; the metric is the mean over them, never the best")
    metric: Metric = Field(
        description="pass@1: mean verdict; strict-prompt: IFEval's share of prompts with every constraint followed"
    )
    instruct: Sampling = Field(description="sampling of models evaluated without thinking")
    thinking: Sampling = Field(description="sampling of models evaluated with thinking")
    limit: int | None = Field(default=None, gt=0, description="only the first n items; null: all")

    def questions(self, thinking: bool) -> Questions:
        """The settings that a model's generations depend on, with the sampling of its mode."""
        return Questions(
            source=self.source,
            template=(self.thinking_template if thinking else None) or self.template,
            samples=self.samples,
            sampling=self.thinking if thinking else self.instruct,
            limit=self.limit,
        )
