"""Commands of the cluster's tests: each has a time limit, and one that is ended leaves no process behind."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

Command = Sequence[str | Path]
GRACE_SECONDS = 60
"""Seconds between Ctrl-C and SIGKILL, in which Snakemake cancels its jobs."""


class CommandError(RuntimeError):
    """A command failed or took too long; the message names the command and the reason."""


def run(*command: str | Path, seconds: float, folder: Path | None = None, **environment: str) -> str:
    """Run a command and return its standard output. Raises CommandError if it fails or takes longer than `seconds`."""
    done = finished(command, seconds, folder, {**os.environ, **environment})
    if done.returncode:
        tail = f"{done.stdout[-2000:]}{done.stderr[-2000:]}"
        raise CommandError(f"{_words(command)} failed with {done.returncode}:\n{tail}")
    return done.stdout


def finished(
    command: Command, seconds: float, folder: Path | None, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, with any exit status. Raises CommandError if it takes longer than `seconds`."""
    with started(command, folder, environment, subprocess.PIPE, subprocess.PIPE) as process:
        try:
            output, errors = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired as late:
            tail = "".join((part or b"").decode(errors="replace")[-2000:] for part in (late.stdout, late.stderr))
            raise CommandError(f"{_words(command)} took longer than {seconds} s:\n{tail}") from None
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


@contextmanager
def started(
    command: Command, folder: Path | None, environment: Mapping[str, str], output: int | IO[str], errors: int | IO[str]
) -> Iterator[subprocess.Popen[str]]:
    """Run a command in the background; when the block ends, so do the command and all its processes."""
    process = subprocess.Popen(
        [str(part) for part in command],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=errors,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    """Send Ctrl-C to a command, then kill its whole process group."""
    process.send_signal(signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=GRACE_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _words(command: Command) -> str:
    return " ".join(str(part) for part in command)
