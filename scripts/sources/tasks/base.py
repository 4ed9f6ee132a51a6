"""A task: one prompt, the response of a perfect assistant, and a plausible wrong response."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from scripts.common.answer_kinds import AnswerKind
from scripts.common.chat.thinking import thinking_response
from scripts.common.settings import Domain

LEVELS = (1, 2, 3)
"""Easy, medium and hard by construction. How hard they are for a small model is measured, not stated."""


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
    """A response of the right form that the verifier rejects; empty if the task has no verifier."""
    kind: AnswerKind = "none"
    spec: dict[str, Any] = field(default_factory=dict)

    def thinking(self, response: str | None = None) -> str:
        """The response after its think block, as a thinking model writes it."""
        return thinking_response(self.thought, self.response if response is None else response)


Family = Callable[[Random, int], Task]
"""Draws a task of a level. The same state of the generator gives the same task."""
