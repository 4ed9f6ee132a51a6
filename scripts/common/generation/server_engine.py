"""The `vllm-server` engine: prompts as token ids to vLLM servers, as many as the job has replicas of the model.

A request is one prompt with all its samples. It goes to the server with the fewest in flight, and where that fails to
another or again, as `serving` says; a job that gives up has kept its finished shards. Completions are cut from token
ids here, as those of the other engines.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scripts.common.generation.prompts import (
    Completion,
    GenerationError,
    Prompt,
    completion,
    load_tokenizer,
    sample_seed,
    stop_ids,
)
from scripts.common.generation.servers import Server, ServerFault, open_servers
from scripts.common.generation.serving import Serving
from scripts.common.settings import Engine, Sampling

LONGEST_WAIT = 60.0  # seconds
THREADS = 1024
"""At most: each waits for one request."""


class ServerEngine:
    """Servers of one checkpoint. Data-parallel: their number is execution, not identity."""

    def __init__(self, folder: Path, settings: Engine, seed: int, serving: Serving) -> None:
        self.tokenizer = load_tokenizer(folder)
        self.stops = stop_ids(folder, self.tokenizer)
        self.serving = serving
        self.fleet = Fleet(open_servers(folder, settings, seed, serving))
        self.context = min(server.context for server in self.fleet.servers)
        self.sequences = settings.batch_size * len(self.fleet.servers)

    def complete(
        self, prompts: Sequence[Prompt], sampling: Sampling, samples: int, seed: int
    ) -> list[list[Completion]]:
        """`samples` completions of each prompt. Raises GenerationError when a request failed for good."""
        if not prompts:
            return []
        # Twice what the servers decode at once keeps their queues filled.
        threads = min(THREADS, len(prompts), max(1, 2 * self.sequences // samples))
        given_up = threading.Event()
        with ThreadPoolExecutor(threads) as pool:
            asked = [pool.submit(self._ask, self._body(item, sampling, samples, seed), given_up) for item in prompts]
            done, _ = wait(asked, return_when=FIRST_EXCEPTION)
            if any(future.exception() for future in done):
                given_up.set()
                pool.shutdown(cancel_futures=True)
        failed = [error for future in asked if not future.cancelled() and (error := future.exception())]
        if failed:
            raise failed[0]
        return [[completion(self.tokenizer, ids, self.stops) for ids in future.result()] for future in asked]

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

    def _ask(self, body: dict[str, Any], given_up: threading.Event) -> list[list[int]]:
        """Token ids of each sample, after as many tries as it takes or `serving.retries` allows."""
        fault: ServerFault | None = None
        failed: list[Server] = []
        while len(failed) <= self.serving.retries and not given_up.is_set():
            try:
                with self.fleet.least_busy(failed) as server:
                    return server.complete(body)
            except ServerFault as error:
                fault = error
            server.recover()
            time.sleep(min(LONGEST_WAIT, self.serving.wait_seconds * 2 ** len(failed)))
            failed.append(server)
        raise GenerationError(
            f"a request failed {self.serving.retries + 1} times, at last: {fault}. Finished shards are kept: see to "
            "the servers and run the same target again; serving.retries and serving.wait_seconds say how long it tries"
        )


class Fleet:
    """The servers, how many requests each has in flight, and which failed last."""

    def __init__(self, servers: Sequence[Server]) -> None:
        self.servers = list(servers)
        self._in_flight = [0] * len(self.servers)
        self._failed_at = [-math.inf] * len(self.servers)
        self._lock = threading.Lock()

    @contextmanager
    def least_busy(self, failed: Sequence[Server]) -> Iterator[Server]:
        """The server to send a request to; `failed` are those that did not answer it before, one an entry.

        First counts how often it failed this request, then whether it failed any in the last minute (a dead server has
        nothing in flight and would draw all requests), then how many it has in flight.
        """
        with self._lock:
            recent = time.monotonic() - LONGEST_WAIT
            place = min(
                range(len(self.servers)),
                key=lambda item: (
                    failed.count(self.servers[item]),
                    self._failed_at[item] > recent,
                    self._in_flight[item],
                ),
            )
            self._in_flight[place] += 1
        try:
            yield self.servers[place]
            self._failed_at[place] = -math.inf
        except ServerFault:
            self._failed_at[place] = time.monotonic()
            raise
        finally:
            with self._lock:
                self._in_flight[place] -= 1
