"""Requests to several servers of one model: where each goes, what happens when one fails, and when it is given up."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TypeVar

from scripts.generation.prompts import GenerationError
from scripts.generation.servers import Server, ServerFault
from scripts.generation.serving import Serving

LONGEST_WAIT = 60.0  # seconds
THREADS = 1024
"""At most: each waits for one request."""
T = TypeVar("T")


class Fleet:
    """The servers, how many requests each has in flight, and which failed last."""

    def __init__(self, servers: Sequence[Server], serving: Serving) -> None:
        self.servers = list(servers)
        self.serving = serving
        self._in_flight = [0] * len(self.servers)
        self._failed_at = [-math.inf] * len(self.servers)
        self._lock = threading.Lock()

    def ask(self, requests: Sequence[Callable[[Server], T]], threads: int) -> list[T]:
        """The answer to each request, `threads` at a time. Raises GenerationError when one failed for good."""
        if not requests:
            return []
        given_up = threading.Event()
        with ThreadPoolExecutor(min(THREADS, threads, len(requests))) as pool:
            asked = [pool.submit(self._one, request, given_up) for request in requests]
            done, _ = wait(asked, return_when=FIRST_EXCEPTION)
            failed = [error for future in asked if future in done and (error := future.exception())]
            if failed:
                given_up.set()
                pool.shutdown(cancel_futures=True)
                raise failed[0]  # the cause; those that fail from here on fail because of it
        return [future.result() for future in asked]

    def _one(self, request: Callable[[Server], T], given_up: threading.Event) -> T:
        """The answer after as many tries as it takes, or `serving.retries` allows."""
        fault: ServerFault | None = None
        failed: list[Server] = []
        while len(failed) <= self.serving.retries and not given_up.is_set():
            try:
                with self.least_busy(failed) as server:
                    return request(server)
            except ServerFault as error:
                fault = error
            server.recover()
            time.sleep(min(LONGEST_WAIT, self.serving.wait_seconds * 2 ** len(failed)))
            failed.append(server)
        raise GenerationError(
            f"a request failed {len(failed)} times, at last: {fault}. What is finished is kept: see to the servers and "
            "run the same target again; serving.retries and serving.wait_seconds say how long it tries"
        )

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
