"""A worker process of `VerifierPool`: reads items from a socket, answers with verdicts, in order.

python -m scripts.verify.worker <file descriptor> <settings as JSON>
"""

from __future__ import annotations

import resource
import signal
import sys
from multiprocessing.connection import Connection

from scripts.verify import dispatch
from scripts.verify.answer import Answer, Verdict
from scripts.verify.settings import VerifySettings

ENVIRONMENT = {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"}
"""Set iteration order decides how computer algebra proceeds: a fixed one gives the same verdict every time."""


def main() -> None:
    """Serve until the socket closes. Arguments: the socket's file descriptor, the settings as JSON."""
    connection = Connection(int(sys.argv[1]))
    settings = VerifySettings.model_validate_json(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_AS, (settings.memory << 20, settings.memory << 20))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the owner decides when a worker ends
    while True:
        try:
            index, response, answer = connection.recv()
        except (EOFError, ConnectionError):
            return
        connection.send((index, verify(response, answer, settings)))


def verify(response: str, answer: Answer, settings: VerifySettings) -> Verdict:
    """The verdict, with this process's life as the price of running out of CPU time.

    Programs have limits of their own. SIGPROF's default action ends the process whatever it is doing; an exception
    from a signal handler would wait for C code to return, and could be swallowed by the library under way.
    """
    if answer.kind == "code":
        return dispatch.verify(response, answer, settings)
    try:
        dispatch.load(answer.kind)
    except Exception as error:
        return Verdict(None, f"crash: a library did not load: {type(error).__name__}: {error}"[:300])
    signal.setitimer(signal.ITIMER_PROF, settings.cpu_seconds)
    try:
        return dispatch.verify(response, answer, settings)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
