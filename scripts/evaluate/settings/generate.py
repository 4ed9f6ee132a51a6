"""Settings of `scripts.evaluate.generate`."""

from __future__ import annotations

from pydantic import Field

from scripts.common.chat.templates import PromptTemplate
from scripts.common.settings import Engine, Sampling, Settings


class Questions(Settings):
    """How a benchmark's items are put to a model, in one of its modes; made by `Benchmark.questions`."""

    source: str
    template: PromptTemplate
    samples: int
    sampling: Sampling
    limit: int | None


class GenerateSettings(Settings):
    """Recipe settings of `scripts.evaluate.generate`."""

    benchmarks: dict[str, Questions] = Field(min_length=1)
    engine: Engine
    thinking: bool
