"""Worker processes that verify, and their limits.

Workers are started by exec, never by fork, so a training process with CUDA and threads can own a pool. An item that
runs out of time takes its worker with it and nothing else: the others keep their verdicts, a new worker goes on.
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from functools import lru_cache
from multiprocessing.connection import Connection, wait
from types import TracebackType

from scripts.common.fingerprint import ROOT
from scripts.verify import dispatch, worker
from scripts.verify.answer import Answer, Verdict
from scripts.verify.settings import VerifySettings

Item = tuple[str, Answer]
DEFAULT = VerifySettings()
_RUN_WORKER = f"from {worker.__name__} import main; main()"
CHUNK = 16
"""Items that a worker holds at once, at most: enough to hide the pipe. If fewer are left, each gets an equal share."""


class VerifierPool:
    """Verifies items in `workers` processes, started when first needed.

    With 0 workers everything that needs no process of its own is verified in this one; what does (computer algebra,
    programs, instructions) goes to a single worker, so that a hard time limit holds there too. The verdicts do not
    depend on the number of workers. Safe to call from several threads (calls take turns).
    """

    def __init__(self, workers: int, settings: VerifySettings = DEFAULT) -> None:
        if workers < 0:
            raise ValueError(f"workers must be 0 or more, not {workers}")
        self.settings = settings
        self._size = max(1, workers)
        self._workers: list[_Worker] = []
        self._lock = threading.Lock()

    def __enter__(self) -> VerifierPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def verify(self, response: str, answer: Answer) -> Verdict:
        """The verdict on one item."""
        return self.verify_many([(response, answer)])[0]

    def verify_many(self, items: Sequence[Item]) -> list[Verdict]:
        """The verdict on each item, in order."""
        verdicts = [dispatch.quick(response, answer, self.settings) for response, answer in items]
        open_items = deque(index for index, verdict in enumerate(verdicts) if verdict is None)
        if open_items:
            with self._lock:
                self._run(items, open_items, verdicts)
        return [_present(verdict) for verdict in verdicts]

    def close(self) -> None:
        """End the worker processes. The pool can be used again: it starts new ones."""
        with self._lock:
            for each in self._workers:
                each.kill()
            self._workers.clear()

    def _run(self, items: Sequence[Item], todo: deque[int], verdicts: list[Verdict | None]) -> None:
        while len(self._workers) < min(self._size, len(todo)):
            self._workers.append(_Worker(self.settings))
        try:
            while todo or any(each.busy for each in self._workers):
                share = min(CHUNK, -(-len(todo) // len(self._workers)))
                for each in self._workers:
                    each.feed(items, todo, verdicts, max(1, share))
                self._collect(verdicts)
        except BaseException:  # an interrupt in between would leave verdicts of this call in the pipes
            for each in self._workers:
                each.kill()
            self._workers.clear()
            raise

    def _collect(self, verdicts: list[Verdict | None]) -> None:
        """Wait for the next verdicts or the next deadline, whichever comes first."""
        busy = {each.connection: each for each in self._workers if each.held}
        if not busy:  # nothing could be sent
            return
        ready = wait(list(busy), max(0.0, min(each.deadline for each in busy.values()) - time.monotonic()))
        for each in busy.values():
            if each.connection in ready:
                index, verdict = each.receive()
            elif each.deadline <= time.monotonic():
                index, verdict = each.give_up()
            else:
                continue
            verdicts[index] = verdict


def _present(verdict: Verdict | None) -> Verdict:
    if verdict is None:
        raise RuntimeError("an item was left without a verdict: this is a fault of the pool")
    return verdict


class _Worker:
    """One worker process; when it dies it is replaced, and the item that it was verifying gets the blame."""

    def __init__(self, settings: VerifySettings) -> None:
        self._settings = settings
        self.held: deque[tuple[int, float]] = deque()  # (item, its wall limit) sent and not yet answered
        self._unsent: deque[int] = deque()
        self.deadline = 0.0
        self._start()

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _RUN_WORKER, str(theirs.fileno()), self._settings.model_dump_json()],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                cwd=ROOT,
                env=os.environ | worker.ENVIRONMENT,
            )
        self.connection = Connection(ours.detach())

    @property
    def busy(self) -> bool:
        """Whether it has items to verify, sent or taken back from one that died."""
        return bool(self.held or self._unsent)

    def feed(self, items: Sequence[Item], todo: deque[int], verdicts: list[Verdict | None], share: int) -> None:
        """Send items until the worker holds its share; one that cannot be sent gets its verdict here."""
        if len(self.held) > share // 2:
            return
        while (todo or self._unsent) and len(self.held) < share:
            index = self._unsent.popleft() if self._unsent else todo.popleft()
            response, answer = items[index]
            try:
                message = pickle.dumps((index, response, answer))
            except (RecursionError, pickle.PicklingError, TypeError, AttributeError) as error:
                verdicts[index] = Verdict(None, f"bad spec: it cannot be sent to a worker: {type(error).__name__}")
                continue
            self.held.append((index, dispatch.wall_limit(answer, self._settings)))
            if len(self.held) == 1:
                self._set_deadline()
            try:
                self.connection.send_bytes(message)
            except OSError:
                return  # it died: `receive` will see that and blame the first item held

    def receive(self) -> tuple[int, Verdict]:
        """The next verdict; a worker that died gives the verdict on the item that it was verifying."""
        try:
            index, verdict = self.connection.recv()
        except (EOFError, OSError):
            return self._bury(self._death())
        assert index == self.held.popleft()[0]
        self._set_deadline()
        return index, verdict

    def give_up(self) -> tuple[int, Verdict]:
        """End a worker that is past its deadline."""
        return self._bury(Verdict(None, f"timeout: no verdict within {self.held[0][1]:g} s"))

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self.connection.close()

    def _bury(self, verdict: Verdict) -> tuple[int, Verdict]:
        self.kill()
        index, _ = self.held.popleft()
        self._unsent.extend(other for other, _ in self.held)
        self.held.clear()
        self._start()
        return index, verdict

    def _death(self) -> Verdict:
        code = self._process.wait()
        if -code == signal.SIGPROF:
            return Verdict(None, f"timeout: more than {self._settings.cpu_seconds:g} s of CPU time")
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return Verdict(None, f"crash: the verifier's process ended with {name}")

    def _set_deadline(self) -> None:
        self.deadline = time.monotonic() + self.held[0][1] if self.held else 0.0


def verify(response: str, answer: Answer, settings: VerifySettings = DEFAULT) -> Verdict:
    """The verdict on one response, from a pool that this process keeps."""
    return _own_pool(settings, os.getpid()).verify(response, answer)


def verify_many(items: Sequence[Item], workers: int, settings: VerifySettings = DEFAULT) -> list[Verdict]:
    """The verdict on each item, in order; the same for any number of workers."""
    with VerifierPool(workers, settings) as pool:
        return pool.verify_many(items)


@lru_cache(maxsize=4)
def _own_pool(settings: VerifySettings, process: int) -> VerifierPool:
    """One pool per process (a forked child must not use its parent's workers), kept until the process ends."""
    return VerifierPool(0, settings)
