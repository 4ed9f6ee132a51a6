"""The sandbox's side of this process: starts the zygote, hands it jobs, reads how they ended.

with Sandbox(settings) as sandbox:
    outcome = sandbox.run_tests("def f(x): return x + 1", setup="", tests=["assert f(1) == 2"], entry_point="f")
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from scripts.verify.sandbox.inside import isolate, zygote
from scripts.verify.settings import VerifySettings

_MIB = 1 << 20
_START = "import sys; sys.path.insert(0, sys.argv.pop(1)); from inside import zygote; sys.path.pop(0); zygote.main()"
INT_DIGITS = 50_000
"""Most digits of an integer's text, as in LiveCodeBench's runner; the interpreter's own limit is 4,300."""
_ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "PYTHONUTF8": "1",
    "PYTHONINTMAXSTRDIGITS": str(INT_DIGITS),
    "LC_ALL": "C.UTF-8",
    "PATH": "",
    "HOME": "/tmp",
}
_SYSTEM = ("/lib", "/lib64", "/lib32", "/usr/lib", "/usr/lib64", "/usr/lib32", "/usr/share/zoneinfo")
_START_SECONDS = 120.0
_GRACE_SECONDS = 60.0  # beyond the zygote's own deadline: after that it is considered hung


class SandboxError(Exception):
    """The sandbox could not be made, or failed: nothing is known about the program."""


@dataclass(frozen=True)
class Outcome:
    """How one run of a program ended."""

    status: int
    """Wait status of the program's process (killed by us counts: look at `overdue` and the verdict first)."""
    cpu: float
    wall: float
    overdue: bool
    waiting: bool
    """At the deadline every thread slept, which is the program's own doing; a runnable thread was starved."""
    result: bytes
    """The verdict of the tests' process (JSON), or in `run_main` how the program failed, in words."""
    output: bytes = b""


class Sandbox:
    """A zygote and the conversation with it. Not for use from several threads at once."""

    def __init__(self, settings: VerifySettings) -> None:
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def run_tests(self, source: str, setup: str, tests: Sequence[str], entry_point: str) -> Outcome:
        """Run the tests against the program; the verdict is in the outcome's `result`."""
        job = {"source": source, "setup": setup, "tests": list(tests), "entry_point": entry_point}
        return self._run("tests", job, [])

    def run_main(self, source: str, setup: str, stdin: bytes) -> Outcome:
        """Run a whole program on `stdin`; its standard output is in the outcome."""
        files = [_memory_file("stdin", stdin), _memory_file("stdout", b"")]
        try:
            return self._run("main", {"source": source, "setup": setup}, files)
        finally:
            for each in files:
                os.close(each)

    def close(self) -> None:
        """End the zygote and everything in its namespace."""
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _run(self, mode: str, job: dict[str, Any], extra: list[int]) -> Outcome:
        files = [_memory_file("job", json.dumps(job).encode()), _memory_file("result", b"")]
        try:
            reply = self._exchange(self._request(mode), [*files, *extra])
            output = _content(extra[1], self._settings.code_output * _MIB + 1) if extra else b""
            return Outcome(**reply, result=_content(files[1], _MIB), output=output)
        finally:
            for each in files:
                os.close(each)

    def _request(self, mode: str) -> dict[str, Any]:
        settings = self._settings
        limits = isolate.Limits(
            cpu_seconds=settings.code_cpu_seconds,
            memory=settings.code_memory * _MIB,
            file_bytes=settings.code_disk * _MIB,
            threads=settings.code_threads + _OWN_PROCESSES,
        )
        return {
            "mode": mode,
            "limits": asdict(limits),
            "wall": settings.code_wall_seconds,
            "most_bytes": settings.code_output * _MIB,
        }

    def _exchange(self, request: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
        control = self._control or self._start()
        try:
            socket.send_fds(control, [json.dumps(request).encode()], descriptors)
            reply = _receive(control, request["wall"] + _GRACE_SECONDS)
        except (OSError, SandboxError) as error:
            self.close()
            raise SandboxError(f"the sandbox's own process failed: {error}") from None
        if "error" in reply:
            self.close()
            raise SandboxError(reply["error"])
        return reply

    def _start(self) -> socket.socket:
        control, zygote_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        options = {
            "isolate": self._settings.code_isolation == "require",
            "visible": _visible(),
            "temporary_bytes": self._settings.code_disk * _MIB,
        }
        with zygote_end:
            command = [_interpreter(), "-P", "-S", "-s", "-c", _START, str(Path(__file__).parent)]
            self._process = subprocess.Popen(
                [*command, str(zygote_end.fileno()), json.dumps(options)],
                pass_fds=[zygote_end.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                env=_ENVIRONMENT,
            )
        self._control = control
        try:
            reply = _receive(control, _START_SECONDS)
        except SandboxError as error:
            reply = {"error": str(error)}
        if "error" in reply:
            self.close()
            raise SandboxError(_refusal(reply["error"]))
        return control


_OWN_PROCESSES = 4  # of the same user in the namespace: the zygote, its parent, the tests' process, the program's


def _refusal(problem: str) -> str:
    return (
        f"no isolation on this machine ({problem}); programs are not run. Allow unprivileged user namespaces "
        "(sysctl user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns), or set "
        "`verify: {code_isolation: allow-none}` to run them without"
    )


def _receive(control: socket.socket, seconds: float) -> dict[str, Any]:
    poller = select.poll()
    poller.register(control, select.POLLIN)
    if not poller.poll(seconds * 1000):
        raise SandboxError(f"no answer within {seconds:g} s")
    data = control.recv(1 << 16)
    if not data:
        raise SandboxError("it ended")
    return json.loads(data)


def _memory_file(name: str, content: bytes) -> int:
    descriptor = os.memfd_create(name)
    with os.fdopen(os.dup(descriptor), "wb") as file:
        file.write(content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _content(descriptor: int, most_bytes: int) -> bytes:
    return os.pread(descriptor, most_bytes, 0)


def _interpreter() -> str:
    """The interpreter below a virtual environment: programs see the standard library alone."""
    return os.path.realpath(getattr(sys, "_base_executable", sys.executable))


def _visible() -> list[str]:
    """The folders that a program may read: the system's libraries, and those of the interpreter (no virtual one)."""
    prefixes = {sys.base_prefix, sys.base_exec_prefix} - {"/usr", "/"}
    return [*_SYSTEM, *(f"{prefix}/{name}" for prefix in sorted(prefixes) for name in sorted({"lib", sys.platlibdir}))]


__all__ = ["Outcome", "Sandbox", "SandboxError", "zygote"]
