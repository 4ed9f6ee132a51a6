"""Send requests to several servers of one model: choose a server, retry a request that failed, and give up at last."""

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
"""Upper limit of threads; each waits for one request."""
T = TypeVar("T")


class Fleet:
    """The servers, how many requests each has in flight, and when each failed last."""

    def __init__(self, servers: Sequence[Server], serving: Serving) -> None:
        self.servers = list(servers)
        self.serving = serving
        self._in_flight = [0] * len(self.servers)
        self._failed_at = [-math.inf] * len(self.servers)
        self._lock = threading.Lock()

    def ask(self, requests: Sequence[Callable[[Server], T]], threads: int) -> list[T]:
        """The answer to each request, in order, `threads` at a time. Raises GenerationError if one fails for good."""
        if not requests:
            return []
        stop = threading.Event()
        with ThreadPoolExecutor(min(THREADS, threads, len(requests))) as pool:
            futures = [pool.submit(self._answer, request, stop) for request in requests]
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            errors = [error for future in futures if future in done and (error := future.exception())]
            if errors:
                stop.set()
                pool.shutdown(cancel_futures=True)
                raise errors[0]  # the cause: requests that fail after it were stopped because of it
        return [future.result() for future in futures]

    def _answer(self, request: Callable[[Server], T], stop: threading.Event) -> T:
        """The answer to one request, tried again up to `serving.retries` times."""
        fault: ServerFault | None = None
        failed: list[Server] = []
        while len(failed) <= self.serving.retries and not stop.is_set():
            try:
                with self.least_busy(failed) as server:
                    return request(server)
            except ServerFault as error:
                fault = error
            server.recover()
            time.sleep(min(LONGEST_WAIT, self.serving.wait_seconds * 2 ** len(failed)))
            failed.append(server)
        raise GenerationError(
            f"a request failed {len(failed)} times, at last: {fault}. Finished work is kept: repair the servers and "
            "run the same target again. serving.retries and serving.wait_seconds set how long a request is tried"
        )

    @contextmanager
    def least_busy(self, failed: Sequence[Server]) -> Iterator[Server]:
        """The server to send a request to; `failed` lists servers that already failed it, once per failure.

        A server is preferred if it failed this request less often; then if it failed no request in the last minute,
        since a dead server has none in flight and would attract all requests; then if it has fewer in flight.
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
