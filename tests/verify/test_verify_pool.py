"""The pool: same verdicts for any number of workers, in any order, hard limits, dead workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from verifiers import became_true, choice, code, instructions, math

from benchmarks import bench_verify
from scripts.verify import Answer, VerifierPool, VerifySettings, dispatch, verify_many

Item = tuple[str, Answer]
BOMB: Item = ("\\boxed{10^{10^{10^{10}}}}", math("x^2 + 1"))
"""No time is enough for its comparison."""

MIXED: list[Item] = [
    ("\\boxed{18}", math("18")),
    ("\\boxed{x^2+2x+1}", math("(x+1)^2")),
    ("\\boxed{x^2+2x+2}", math("(x+1)^2")),
    ("def f(x): return x + 1", code("assert f(1) == 2")),
    ("def f(x): return x", code("assert f(1) == 2")),
    ("The answer is B", choice("B")),
    ("A or B", choice("B")),
    ("one, two", instructions(("punctuation:no_comma", {}))),
    ("one two", instructions(("punctuation:no_comma", {}))),
    ("x", Answer("none", {})),
    ("\\boxed{1}", math("")),
]
EXPECTED = [True, True, False, True, False, True, False, False, True, None, None]


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_the_number_of_workers_does_not_matter(pool: VerifierPool, workers: int) -> None:
    verdicts = verify_many(MIXED * 3, workers)
    assert [verdict.correct for verdict in verdicts] == EXPECTED * 3
    assert verdicts == pool.verify_many(MIXED * 3)


@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, len(MIXED) - 1), max_size=40))
def test_neighbours_and_order_do_not_matter(pool: VerifierPool, order: list[int]) -> None:
    verdicts = pool.verify_many([MIXED[index] for index in order])
    assert [verdict.correct for verdict in verdicts] == [EXPECTED[index] for index in order]


def test_an_expression_that_never_ends_costs_its_own_line_only() -> None:
    items = [*MIXED, BOMB, *MIXED, *MIXED]
    verdicts = verify_many(items, 2, VerifySettings(cpu_seconds=2.0))
    assert [verdict.correct for verdict in verdicts] == [*EXPECTED, None, *EXPECTED, *EXPECTED]
    assert verdicts[len(MIXED)].reason == "timeout: more than 2 s of CPU time"


def test_no_verdict_is_lost_when_one_worker_dies_again_and_again() -> None:
    items = [BOMB, *MIXED[1:5], BOMB, *MIXED[1:3]]
    verdicts = verify_many(items, 0, VerifySettings(cpu_seconds=1.5))
    assert [verdict.correct for verdict in verdicts] == [None, *EXPECTED[1:5], None, *EXPECTED[1:3]]


def test_a_worker_that_hangs_without_using_the_cpu_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    with VerifierPool(workers=1) as pool:
        assert pool.verify(*MIXED[1]).correct is True
        os.kill(pool._workers[0]._process.pid, signal.SIGSTOP)
        limits = iter([1.0])
        monkeypatch.setattr(dispatch, "wall_limit", lambda answer, settings: next(limits, 3600.0))
        verdicts = pool.verify_many([MIXED[1], MIXED[1]])
    assert (verdicts[0].correct, verdicts[0].reason) == (None, "timeout: no verdict within 1 s")
    assert verdicts[1].correct is True


def test_a_worker_that_is_killed_costs_at_most_the_item_it_was_at() -> None:
    items = [(f"\\boxed{{x + {index}}}", math(f"{index} + x")) for index in range(200)]
    with VerifierPool(workers=2) as pool:
        pool.verify_many(items[:4])
        victim = pool._workers[0]._process.pid
        timer = threading.Timer(0.2, os.kill, (victim, signal.SIGKILL))
        timer.start()
        verdicts = pool.verify_many(items)
        timer.join()
    unsaid = [verdict.reason for verdict in verdicts if verdict.correct is None]
    assert unsaid in ([], ["crash: the verifier's process ended with SIGKILL"])
    assert all(verdict.correct for verdict in verdicts if verdict.correct is not None)


def test_a_pool_is_usable_from_several_threads(pool: VerifierPool) -> None:
    results: dict[int, list[bool | None]] = {}

    def run(number: int) -> None:
        results[number] = [verdict.correct for verdict in pool.verify_many(MIXED)]

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {number: EXPECTED for number in range(4)}


def test_a_closed_pool_starts_anew_and_leaves_no_process() -> None:
    pool = VerifierPool(workers=1)
    pool.verify(*MIXED[1])
    process = pool._workers[0]._process
    pool.close()
    assert process.poll() is not None
    assert pool.verify(*MIXED[1]).correct is True
    pool.close()


def test_workers_end_with_their_owner() -> None:
    script = (
        "import os, signal\nfrom scripts.verify import *\npool = VerifierPool(1)\n"
        "pool.verify('def f(): return 1', Answer('code', {'tests': ['assert f() == 1']}))\n"
        "print(pool._workers[0]._process.pid, flush=True)\nos.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[2], capture_output=True, text=True)
    worker = int(done.stdout)
    assert became_true(lambda: not _alive(worker)), "the worker outlived its owner"


def _alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_benchmark_times_both_sides_and_compares_their_verdicts() -> None:
    items = bench_verify.one_liners(4)
    row = bench_verify.measure("code", "python -I", items, 1, items[:1], bench_verify.bare_subprocess)
    assert (len(row.ours), len(row.theirs), row.differing) == (1, 1, [])
    wrong = bench_verify.measure("code", "none", items, 1, items[:1], lambda given: [True] * len(given))
    assert wrong.differing == [1, 3]


def test_a_negative_number_of_workers_is_refused() -> None:
    with pytest.raises(ValueError, match="workers"):
        VerifierPool(-1)
