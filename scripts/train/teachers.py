"""Teachers behind vLLM servers: log probabilities of the student's tokens, without a teacher's weights in the job."""

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
"""Sequences that a process sends to a teacher's servers at a time."""


class Scorer(Protocol):
    """What on-policy distillation by sampled tokens needs of a teacher."""

    def score(self, sequences: Sequence[Sequence[int]], starts: Sequence[int]) -> list[list[float]]:
        """log p (nats, temperature 1) of the tokens of each sequence from index `start` on, given all tokens before."""
        ...


class ServedTeacher:
    """The servers of one checkpoint; `serving.urls` lists them under the name of its folder."""

    def __init__(self, folder: str, serving: Serving) -> None:
        path = Path(folder)
        urls = serving.urls.get(path.name)
        if not urls:
            raise TrainingError(
                f"teacher_engine is vllm-server, but serving.urls.{path.name} names no server: start one with "
                f"`vllm serve {folder}`, or set teacher_engine to transformers"
            )
        servers = [Server(url, serving) for url in urls]
        for server in servers:
            server.connect(path)
        self._fleet = Fleet(servers, serving)

    def score(self, sequences: Sequence[Sequence[int]], starts: Sequence[int]) -> list[list[float]]:
        """See Scorer. Raises GenerationError if the servers fail more often than `serving.retries` allows."""
        requests = [partial(Server.log_probabilities, tokens=list(sequence)) for sequence in sequences]
        logps = self._fleet.ask(requests, IN_FLIGHT)  # of all tokens but a sequence's first
        return [values[start - 1 :] for values, start in zip(logps, starts, strict=True)]
