"""Code: run the response's program against tests, in a sandbox that it can neither leave nor deceive.

Assert tests run in a process of their own, where the program's functions are calls into the program's process. A test
of standard input and output is a run of the whole program; its output is compared here.
"""

from __future__ import annotations

import atexit
import base64
import json
import signal
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from itertools import zip_longest
from typing import Any

from scripts.verify.answer import AnswerError, Verdict
from scripts.verify.fences import program_of
from scripts.verify.sandbox import INT_DIGITS, Outcome, Sandbox, SandboxError
from scripts.verify.settings import VerifySettings

_TICKS = 0.75
"""The kernel counts a limit of CPU time in timer ticks: on a busy machine they said 1 s where 0.90 s were used."""


@dataclass(frozen=True)
class _Spec:
    asserts: tuple[str, ...]
    runs: tuple[tuple[str, str], ...]
    entry_point: str
    setup: str


def verify(response: str, spec: Mapping[str, Any], settings: VerifySettings) -> Verdict:
    """True if the program passes every test, false also if it exceeds a limit, null if the sandbox fails."""
    tests = _spec(spec)
    source = program_of(response)
    if not source.strip():
        return Verdict(False, "no program found")
    sandbox = _sandbox(settings)
    try:
        if tests.asserts:
            verdict = _run_asserts(sandbox, source, tests, settings)
            if not verdict.correct:
                return verdict
        for index, (stdin, expected) in enumerate(tests.runs):
            verdict = _run_main(sandbox, source, tests.setup, stdin, expected, settings)
            if not verdict.correct:
                return Verdict(verdict.correct, f"{verdict.reason} (input {index + 1} of {len(tests.runs)})")
    except SandboxError as error:
        return Verdict(None, f"sandbox: {error}")
    return Verdict(True, f"passed {len(tests.asserts) + len(tests.runs)} tests")


def _spec(spec: Mapping[str, Any]) -> _Spec:
    tests = _unpacked(spec)
    entry_point, setup = spec.get("entry_point") or "", spec.get("setup") or ""
    if not isinstance(tests, list) or not tests:
        raise AnswerError('code needs {"tests": ["assert f(1) == 2", ...]} or {"tests": [{"input": "", "output": ""}]}')
    if not isinstance(entry_point, str) or not isinstance(setup, str):
        raise AnswerError("code's entry_point and setup must be strings")
    asserts = tuple(test for test in tests if isinstance(test, str))
    runs = tuple((test.get("input"), test.get("output")) for test in tests if isinstance(test, dict))
    texts = [text for run in runs for text in run]
    if len(asserts) + len(runs) != len(tests) or not all(isinstance(text, str) for text in texts):
        raise AnswerError('a test must be a string of Python, or {"input": "...", "output": "..."}')
    for text in (setup, *asserts):
        _check_syntax(text)
    for text in map(str, texts):
        _check_encodable(text)
    return _Spec(asserts, tuple((str(stdin), str(stdout)) for stdin, stdout in runs), entry_point, setup)


def _check_encodable(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise AnswerError(f"a test's input or output is not text that a program can read or write: {error}") from None


def _unpacked(spec: Mapping[str, Any]) -> Any:
    """`tests`, and then those of `packed_tests`: base64 of zlib of their JSON, with their number."""
    tests, packed = spec.get("tests"), spec.get("packed_tests")
    if packed is None or not isinstance(tests, list):
        return tests
    try:
        hidden = json.loads(zlib.decompress(base64.b64decode(packed["zlib"], validate=True)))
        if len(hidden) != packed["count"]:
            raise ValueError(f"{len(hidden)} tests, not {packed['count']}")
        return [*tests, *hidden]
    except (ValueError, TypeError, KeyError, zlib.error) as error:
        raise AnswerError(f'packed_tests need {{"count": n, "zlib": base64 of zlib of a JSON list}}: {error}') from None


@lru_cache(maxsize=10_000)
def _check_syntax(text: str) -> None:
    try:
        with _long_integers():
            compile(text, "<test>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise AnswerError(f"a test or setup is not Python: {error}: {text[:60]!r}") from None


@contextmanager
def _long_integers() -> Iterator[None]:
    """Allow integers as long as in the sandbox."""
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(INT_DIGITS)
    try:
        yield
    finally:
        sys.set_int_max_str_digits(before)


def _run_asserts(sandbox: Sandbox, source: str, tests: _Spec, settings: VerifySettings) -> Verdict:
    outcome = sandbox.run_tests(source, tests.setup, tests.asserts, tests.entry_point)
    if not outcome.result:
        return Verdict(None, "bad test: the tests themselves ran out of time or memory")
    verdict = json.loads(outcome.result)
    if verdict["gone"] or outcome.overdue:
        return _ended(outcome, settings, verdict["reason"])
    return Verdict(verdict["correct"], verdict["reason"])


def _run_main(
    sandbox: Sandbox, source: str, setup: str, stdin: str, expected: str, settings: VerifySettings
) -> Verdict:
    outcome = sandbox.run_main(source, setup, stdin.encode())
    if outcome.overdue or outcome.status != 0:
        return _ended(outcome, settings, outcome.result.decode(errors="replace"))
    if len(outcome.output) > settings.code_output << 20:
        return Verdict(False, f"output: more than {settings.code_output} MiB")
    same = same_output(outcome.output.decode(errors="replace"), expected)
    return Verdict(same, "passed" if same else "wrong: the output differs")


def same_output(output: str, expected: str) -> bool:
    """Whether LiveCodeBench's runner takes one output for the other.

    White space around the lines, and empty lines around all, do not count. Lines of decimal numbers are compared by
    their values, exactly: `0.50` is `0.5`.
    """
    pairs = zip_longest(_lines(output), _lines(expected))
    return all(line == other or _same_numbers(line, other) for line, other in pairs)


def _lines(text: str) -> Sequence[str]:
    return [line.strip() for line in text.strip().split("\n")]


def _same_numbers(line: str | None, expected: str | None) -> bool:
    if line is None or expected is None:
        return False
    try:
        return list(map(Decimal, line.split())) == list(map(Decimal, expected.split()))
    except InvalidOperation:  # words, or a NaN that signals
        return False


def _ended(outcome: Outcome, settings: VerifySettings, words: str) -> Verdict:
    """The verdict on a program that ended before its result."""
    number = outcome.status & 0x7F
    by_kernel = number == signal.SIGKILL and not outcome.overdue
    if outcome.cpu >= settings.code_cpu_seconds * (_TICKS if by_kernel else 1.0):
        return Verdict(False, f"timeout: more than {settings.code_cpu_seconds} s of CPU time")
    if outcome.overdue and not outcome.waiting:
        return Verdict(None, f"timeout: the machine gave it {outcome.cpu:.1f} s of CPU time in {outcome.wall:.0f} s")
    if outcome.overdue:
        return Verdict(False, f"timeout: it waited for more than {settings.code_wall_seconds:g} s")
    if words:
        return Verdict(False, f"program ended: {words}")
    how = f"by {signal.Signals(number).name}" if number else f"with exit code {outcome.status >> 8}"
    return Verdict(False, f"program ended {how}")


@lru_cache(maxsize=1)
def _sandbox(settings: VerifySettings) -> Sandbox:
    """This worker's sandbox, kept for all its programs."""
    sandbox = Sandbox(settings)
    atexit.register(sandbox.close)
    return sandbox
