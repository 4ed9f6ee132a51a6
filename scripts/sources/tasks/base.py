"""What a task is: one prompt, how a perfect assistant answers it, and a plausible wrong answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from scripts.common.answer_kinds import AnswerKind
from scripts.common.settings import Domain

LEVELS = (1, 2, 3)
"""Easy, medium, hard, by construction: what a small model finds hard is measured, not stated."""


@dataclass(frozen=True)
class Task:
    """One prompt of a family with its true and its wrong answer."""

    domain: Domain
    level: int
    prompt: str
    response: str
    thought: str
    """The working that leads to the response, without the tags of a think block."""
    wrong: str
    """A response of the right form that the verifier rejects; empty where nothing verifies."""
    kind: AnswerKind = "none"
    spec: dict[str, Any] = field(default_factory=dict)

    def thinking(self, response: str | None = None) -> str:
        """The response after its think block, as a thinking model writes it."""
        return f"<think>\n{self.thought}\n</think>\n\n{self.response if response is None else response}"


Family = Callable[[Random, int], Task]
"""Draws a task of a level. The same state of the generator gives the same task."""
