"""The process that closes itself in once, and then forks the processes of each job.

It neither runs nor reads anything of a job: it passes file descriptors on, watches the clock and reports how the
processes ended. Messages on the control socket (SOCK_SEQPACKET) are small JSON objects:

    in   {"mode": "tests" | "main", "limits": {...}, "wall": s, "most_bytes": n}
         with descriptors: job, result, and for "main" standard input and output
    out  {"status": n, "cpu": s, "wall": s, "overdue": bool, "waiting": bool}: how the program's process ended
         or {"error": "..."}: the sandbox failed, nothing is known of the program
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import random
import select
import signal
import site
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from . import checker, isolate, program

_PRELOADED = (
    "abc bisect cmath collections.abc contextlib copy dataclasses datetime decimal enum fractions functools heapq io"
    " itertools json math numbers operator random re statistics string textwrap threading time types typing"
)
"""Modules that programs often import, loaded once: an import costs more than the fork."""
_GRACE = 10.0  # seconds that the tests' process has, after the program's end, to write its verdict
_PROBE = isolate.Limits(cpu_seconds=10, memory=1 << 30, file_bytes=1 << 20, threads=16)


@dataclass
class Confinement:
    """How the zygote is closed in, and what it needs to close each program in."""

    isolated: bool
    temporary_bytes: int
    host_processes: int = -1
    """Descriptor of the host's /proc, which tells whether an overdue process waits or is starved."""
    process_namespace: int = -1
    """Descriptor of the zygote's own process namespace, to come back to after each fork into a new one."""
    temporary_mark: int = 0
    """Time of the last change of the empty /tmp, ns."""

    def fork_confined(self, limits: isolate.Limits, descriptors: list[int], run: Callable[[], None]) -> int:
        """Fork the program's process: it has `descriptors` alone, no privilege, and sees no other process."""
        if self.isolated:
            isolate.new_process_namespace(None)
        try:
            return self.fork(limits, descriptors, run)
        finally:
            if self.isolated:
                isolate.new_process_namespace(self.process_namespace)

    def fork(self, limits: isolate.Limits, descriptors: list[int], run: Callable[[], None]) -> int:
        """Fork a process without privileges that ends when `run` returns."""
        child = os.fork()
        if child:
            return child
        try:
            os.setsid()
            _close_all_but(descriptors)
            isolate.give_up_privileges(limits, self.isolated)
            gc.enable()
            random.seed(0)
            run()
            os._exit(0)
        finally:
            os._exit(70)

    def tidy(self) -> None:
        """Give the next program an empty /tmp if the last one has touched it."""
        if self.isolated and os.stat("/tmp").st_ctime_ns != self.temporary_mark:
            isolate.drop_temporary()
            self.temporary_mark = isolate.mount_temporary(self.temporary_bytes)


def main() -> None:
    """Arguments: the control socket's descriptor, and {"isolate", "visible", "temporary_bytes"} as JSON."""
    control = socket.socket(fileno=int(sys.argv[1]))
    options = json.loads(sys.argv[2])
    for name in _PRELOADED.split():
        importlib.import_module(name)
    site.setquit()  # exit, quit: the interpreter is started without the module that defines them
    cell = Confinement(options["isolate"], options["temporary_bytes"], os.open("/proc", os.O_RDONLY))
    try:
        if cell.isolated:
            _enter_namespaces(cell, control)
            isolate.build_root(options["visible"])
            cell.temporary_mark = isolate.mount_temporary(cell.temporary_bytes)
        _probe(cell)
    except Exception as error:
        control.send(json.dumps({"error": f"{type(error).__name__}: {error}"}).encode())
        return
    control.send(b"{}")
    gc.collect()
    gc.disable()
    gc.freeze()  # the children share these pages as long as the collector does not write to them
    while True:
        request, descriptors = _receive(control)
        try:
            reply = _run(request, descriptors, cell, control)
            cell.tidy()
        except (isolate.IsolationError, OSError) as error:
            reply = {"error": f"{type(error).__name__}: {error}"}
        for each in descriptors:
            os.close(each)
        control.send(json.dumps(reply).encode())


def _enter_namespaces(cell: Confinement, control: socket.socket) -> None:
    """Go on as the first process of a new process namespace: when it ends, the kernel ends all others in it."""
    isolate.enter_namespaces()
    child = os.fork()
    if child:
        control.close()
        os.waitpid(child, 0)
        os._exit(0)
    isolate.die_with_parent()
    cell.process_namespace = os.open("/proc/self/ns/pid", os.O_RDONLY)


def _probe(cell: Confinement) -> None:
    """Do once what each job does: on a machine that cannot, the sandbox fails at its start."""
    reader, writer = os.pipe()

    def report() -> None:
        os.write(writer, b"ok")

    child = cell.fork_confined(_PROBE, [writer], report)
    os.close(writer)
    answer = os.read(reader, 16)
    os.close(reader)
    os.waitpid(child, 0)
    if answer != b"ok":
        raise isolate.IsolationError("a process could not give up its privileges (system call filter, limits)")


def _close_all_but(descriptors: list[int]) -> None:
    start = 3
    for each in [*sorted(descriptors), 1 << 20]:
        os.closerange(start, each)
        start = each + 1


def _receive(control: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """The next request and its descriptors; ends this process if its owner has ended."""
    data, descriptors, _, _ = socket.recv_fds(control, 1 << 16, 8)
    if not data:
        _end()
    return json.loads(data), list(descriptors)


def _end() -> NoReturn:
    os._exit(0)


def _run(request: dict[str, Any], descriptors: list[int], cell: Confinement, control: socket.socket) -> dict[str, Any]:
    limits = isolate.Limits(**request["limits"])
    start = time.monotonic()
    if request["mode"] == "main":
        job, result, stdin, stdout = descriptors

        def run_main() -> None:
            os.dup2(stdin, 0)
            os.dup2(stdout, 1)
            content = _read(job)
            program.run_as_main(content["setup"], content["source"], result, cell.isolated)

        child, checking = cell.fork_confined(limits, descriptors, run_main), None
    else:
        child, checking = _fork_pair(descriptors, limits, request["most_bytes"], cell)
    overdue, waiting = _watch(child, checking, start + request["wall"], control, cell)
    status, usage = _end_child(child)
    return {
        "status": status,
        "cpu": usage.ru_utime + usage.ru_stime,
        "wall": time.monotonic() - start,
        "overdue": overdue,
        "waiting": waiting,
    }


def _fork_pair(descriptors: list[int], limits: isolate.Limits, most_bytes: int, cell: Confinement) -> tuple[int, int]:
    """The program's process, with one end of a socket and nothing else, and the tests' process with the job."""
    job, result = descriptors
    program_end, tests_end = socket.socketpair()
    with program_end, tests_end:
        child = cell.fork_confined(
            limits, [program_end.fileno()], lambda: program.serve(program_end, most_bytes, cell.isolated)
        )
        checking = cell.fork(
            limits, [job, result, tests_end.fileno()], lambda: checker.verify(_read(job), tests_end, most_bytes, result)
        )
    return child, checking


def _read(descriptor: int) -> dict[str, Any]:
    with os.fdopen(os.dup(descriptor), "rb") as file:
        file.seek(0)
        return json.loads(file.read())


def _watch(
    child: int, checking: int | None, deadline: float, control: socket.socket, cell: Confinement
) -> tuple[bool, bool]:
    """Wait for the job's end, or end it at the deadline: (whether it had to be ended, whether it only waited then)."""
    overdue = not _wait(child if checking is None else checking, deadline, control, other=child)
    waiting = overdue and all(_asleep(each, cell.host_processes) for each in (child, checking) if each is not None)
    if checking is not None:
        if overdue:
            _kill(child)  # the tests' process then reads the end of the connection
            _wait(checking, time.monotonic() + _GRACE, control, other=None)
        _kill(checking)
        os.waitpid(checking, 0)
    return overdue, waiting


def _asleep(process: int, host_processes: int) -> bool:
    """Whether every thread of a process sleeps: one that is runnable at its deadline was starved by the machine.

    The host's /proc knows the process under another number, which a descriptor of the process tells.
    """
    watched = os.pidfd_open(process)
    try:
        fields = dict(line.split(":", 1) for line in _text(f"self/fdinfo/{watched}", host_processes).splitlines())
        tasks = os.open(f"{int(fields['Pid'])}/task", os.O_RDONLY, dir_fd=host_processes)
        try:
            return all(_text(f"{task}/stat", tasks).rpartition(")")[2].split()[0] == "S" for task in os.listdir(tasks))
        finally:
            os.close(tasks)
    except (OSError, KeyError, ValueError, IndexError):
        return False  # unknown, so it is not held against the program
    finally:
        os.close(watched)


def _text(path: str, folder: int) -> str:
    descriptor = os.open(path, os.O_RDONLY, dir_fd=folder)
    with os.fdopen(descriptor) as file:
        return file.read()


def _wait(process: int, deadline: float, control: socket.socket, other: int | None) -> bool:
    """Whether `process` ends before the deadline. If the owner ends, so does everything here."""
    watched = os.pidfd_open(process)
    poller = select.poll()
    poller.register(watched, select.POLLIN)
    poller.register(control, select.POLLHUP | select.POLLRDHUP)
    try:
        events = poller.poll(max(0.0, deadline - time.monotonic()) * 1000)
    finally:
        os.close(watched)
    if any(descriptor == control.fileno() for descriptor, _ in events):
        for each in (process, other):
            if each is not None:
                _kill(each)
        _end()
    return bool(events)


def _kill(process: int) -> None:
    """End a process and its group; with the first process of a namespace the kernel ends all others in it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def _end_child(child: int) -> tuple[int, Any]:
    _kill(child)
    _, status, usage = os.wait4(child, 0)
    return status, usage
