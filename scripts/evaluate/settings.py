"""Settings of evaluation: benchmarks, their prompts, sampling and metric."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from scripts.common.settings import Domain, Sampling, Settings


class Benchmark(Settings):
    """One benchmark: a source with role `benchmark`, how it is asked and how it is scored."""

    title: str
    source: str
    domain: Domain
    template: str = Field(default="{prompt}", description="the user's message; {prompt} is the item's own text")
    samples: int = Field(gt=0, description="completions a prompt; the metric is the mean over them, never the best")
    metric: Literal["pass@1", "strict-prompt"] = Field(
        description="pass@1: mean verdict; strict-prompt: IFEval's share of prompts with every constraint followed"
    )
    instruct: Sampling = Field(description="sampling of models evaluated without thinking")
    thinking: Sampling = Field(description="sampling of models evaluated with thinking on")
    limit: int | None = Field(default=None, gt=0, description="the first n items alone")
