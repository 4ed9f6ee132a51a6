"""The `vllm-server` engine: sends prompts as token ids to vLLM servers, one per replica of the model.

A request is one prompt with all its samples. It goes to the server with the fewest requests in flight. If it fails, it
is sent again, to another server if there is one (`fleet.py`). Token ids come back, so completions end at the same
tokens as those of the other engines.
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
    """Data-parallel servers of one checkpoint. Their number is execution, not identity."""

    def __init__(self, folder: Path, settings: Engine, seed: int, serving: Serving) -> None:
        self.tokenizer = chat_tokenizer(folder)
        self.stops = stop_ids(folder, self.tokenizer)
        self.fleet = Fleet(open_servers(folder, settings, seed, serving), serving)
        self.context = min(server.context for server in self.fleet.servers)
        self.sequences = settings.batch_size * len(self.fleet.servers)

    def complete(
        self, prompts: Sequence[Prompt], sampling: Sampling, samples: int, seed: int
    ) -> list[list[Completion]]:
        """`samples` completions per prompt. Raises GenerationError if a request fails for good."""
        # Twice as many as the servers decode at a time keep their queues filled.
        threads = max(1, 2 * self.sequences // samples)
        bodies = [self._body(prompt, sampling, samples, seed) for prompt in prompts]
        answers = self.fleet.ask([partial(Server.complete, body=body) for body in bodies], threads)
        return [[completion(self.tokenizer, ids, self.stops) for ids in answer] for answer in answers]

    def close(self) -> None:
        """End the servers that this engine started."""
        for server in self.fleet.servers:
            server.close()

    def _body(self, prompt: Prompt, sampling: Sampling, samples: int, seed: int) -> dict[str, Any]:
        return {
            "prompt": list(prompt.tokens),
            "n": samples,
            **sampling.model_dump(),
            "seed": sample_seed(seed, prompt.key, 0),  # vLLM draws sample i of the request with seed + i
            "stop_token_ids": sorted(self.stops),
            "skip_special_tokens": False,
        }
