"""The `vllm-server` engine: prompts as token ids to vLLM servers, as many as the job has replicas of the model.

A request is one prompt with all its samples. It goes to the server with the fewest in flight, and where that fails to
another or again, as `serving` says; a job that gives up has kept its finished shards. Completions are cut from token
ids here, as those of the other engines.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from scripts.common.settings import Engine, Sampling
from scripts.generation.fleet import Fleet
from scripts.generation.prompts import (
    Completion,
    Prompt,
    chat_tokenizer,
    completion,
    sample_seed,
    stop_ids,
)
from scripts.generation.servers import Server, open_servers
from scripts.generation.serving import Serving


class ServerEngine:
    """Servers of one checkpoint. Data-parallel: their number is execution, not identity."""

    def __init__(self, folder: Path, settings: Engine, seed: int, serving: Serving) -> None:
        self.tokenizer = chat_tokenizer(folder)
        self.stops = stop_ids(folder, self.tokenizer)
        self.fleet = Fleet(open_servers(folder, settings, seed, serving), serving)
        self.context = min(server.context for server in self.fleet.servers)
        self.sequences = settings.batch_size * len(self.fleet.servers)

    def complete(
        self, prompts: Sequence[Prompt], sampling: Sampling, samples: int, seed: int
    ) -> list[list[Completion]]:
        """`samples` completions of each prompt. Raises GenerationError when a request failed for good."""
        # Twice what the servers decode at once keeps their queues filled.
        threads = max(1, 2 * self.sequences // samples)
        bodies = [self._body(prompt, sampling, samples, seed) for prompt in prompts]
        found = self.fleet.ask([partial(Server.complete, body=body) for body in bodies], threads)
        return [[completion(self.tokenizer, ids, self.stops) for ids in drawn] for drawn in found]

    def close(self) -> None:
        """End the servers that were started here."""
        for server in self.fleet.servers:
            server.close()

    def _body(self, prompt: Prompt, sampling: Sampling, samples: int, seed: int) -> dict[str, Any]:
        return {
            "prompt": list(prompt.tokens),
            "n": samples,
            **sampling.model_dump(),
            "seed": sample_seed(seed, prompt.key, 0),  # sample i of the request draws from seed + i
            "stop_token_ids": sorted(self.stops),
            "skip_special_tokens": False,
        }
