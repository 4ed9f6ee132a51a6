"""Teachers behind vLLM servers: what they say of the student's tokens, with none of their weights in the training."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

from scripts.generation.fleet import Fleet
from scripts.generation.servers import Server
from scripts.generation.serving import Serving
from scripts.train.trainer import TrainingError

IN_FLIGHT = 64
"""Sequences a process has at the servers of a teacher at once."""


class Scorer(Protocol):
    """A teacher as on-policy distillation by sampled tokens needs it."""

    def score(self, sequences: Sequence[Sequence[int]], starts: Sequence[int]) -> list[list[float]]:
        """log p (nats, temperature 1) of each sequence's tokens from its start on, given those before them."""
        ...


class ServedTeacher:
    """The servers of one checkpoint, found by its folder's name in `serving.urls`."""

    def __init__(self, folder: str, serving: Serving) -> None:
        path = Path(folder)
        urls = serving.urls.get(path.name)
        if not urls:
            raise TrainingError(
                f"teacher_engine is vllm-server, and serving.urls.{path.name} names no server: start one with "
                f"`vllm serve {folder}`, or set teacher_engine to transformers"
            )
        servers = [Server(url, serving) for url in urls]
        for server in servers:
            server.connect(path)
        self._fleet = Fleet(servers, serving)

    def score(self, sequences: Sequence[Sequence[int]], starts: Sequence[int]) -> list[list[float]]:
        """As Scorer's. Raises GenerationError when the servers stay away longer than `serving.retries` allows."""
        asked = [partial(Server.log_probabilities, tokens=list(sequence)) for sequence in sequences]
        found = self._fleet.ask(asked, IN_FLIGHT)
        return [values[start - 1 :] for values, start in zip(found, starts, strict=True)]
