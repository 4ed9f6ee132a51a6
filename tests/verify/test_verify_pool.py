"""The pool and the batch: same verdicts for any number of workers, hard limits, dead workers, kills in between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from verifiers import choice, code, instructions, math

from scripts.verify import Answer, VerifierPool, VerifySettings, dispatch, verify_many
from scripts.verify.batch import BLOCK, verify_parquet

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
        monkeypatch.setattr(dispatch, "wall_limit", lambda answer, settings: next(limits, 120.0))
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
    for _ in range(100):
        if not _alive(worker):
            return
        time.sleep(0.05)
    raise AssertionError("the worker outlived its owner")


def _alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_negative_number_of_workers_is_refused() -> None:
    with pytest.raises(ValueError, match="workers"):
        VerifierPool(-1)


def write_records(path: Path, rows: int) -> None:
    kinds = ["math", "choice", "poetry", None]
    specs = ['{"target": "7"}', '{"target": "B"}', "{}", "not json"]
    table = pa.table(
        {
            "id": [str(index) for index in range(rows)],
            "response": [None if index % 11 == 10 else ["\\boxed{7}", "Answer: C"][index % 2] for index in range(rows)],
            "answer": [{"kind": kinds[index % 4], "spec": specs[index % 4]} for index in range(rows)],
        }
    )
    pq.write_table(table, path, row_group_size=1000)


def test_a_parquet_of_records_keeps_its_rows_and_gains_verdicts(tmp_path: Path) -> None:
    write_records(tmp_path / "in.parquet", 4500)
    seen: list[tuple[int, int]] = []
    counts = verify_parquet(
        tmp_path / "in.parquet",
        tmp_path / "out.parquet",
        tmp_path / "work",
        1,
        VerifySettings(),
        lambda *at: seen.append(at),
    )
    before, after = pq.read_table(tmp_path / "in.parquet"), pq.read_table(tmp_path / "out.parquet")
    assert after.drop_columns(["correct", "reason"]).equals(before)
    expected = [None if row % 11 == 10 else {0: True, 1: False}.get(row % 4) for row in range(4500)]
    assert after["correct"].to_pylist() == expected
    assert sum(counts.values()) == 4500
    assert counts["null  bad row"] == 409
    assert seen == [(BLOCK, 4500), (2 * BLOCK, 4500), (4500, 4500)]
    assert not (tmp_path / "work").exists()


def test_the_bytes_do_not_depend_on_workers_or_kills(tmp_path: Path) -> None:
    source = tmp_path / "in.parquet"
    write_records(source, 3 * BLOCK)
    verify_parquet(source, tmp_path / "one.parquet", tmp_path / "work-1", 1, VerifySettings())
    verify_parquet(source, tmp_path / "three.parquet", tmp_path / "work-3", 3, VerifySettings())

    class Killed(BaseException):
        pass

    def kill(done: int, total: int) -> None:
        if done == 2 * BLOCK:
            raise Killed

    target, work = tmp_path / "killed.parquet", tmp_path / "work-k"
    with pytest.raises(Killed):
        verify_parquet(source, target, work, 2, VerifySettings(), kill)
    assert not target.exists()
    parts = sorted(work.glob("*/*.parquet"))
    assert len(parts) == 2
    times = [part.stat().st_mtime_ns for part in parts]
    kept: list[int] = []
    verify_parquet(
        source, target, work, 2, VerifySettings(), lambda *at: kept.extend(p.stat().st_mtime_ns for p in parts)
    )
    assert set(kept) == set(times)  # the finished blocks were not verified again
    contents = {name: (tmp_path / f"{name}.parquet").read_bytes() for name in ("one", "three", "killed")}
    assert contents["one"] == contents["three"] == contents["killed"]


def test_blocks_of_another_input_or_other_settings_are_not_reused(tmp_path: Path) -> None:
    source, target, work = tmp_path / "in.parquet", tmp_path / "out.parquet", tmp_path / "work"
    stale = work / "0123456789abcdef"
    stale.mkdir(parents=True)
    wrong = pa.table({"correct": pa.array([True] * 100), "reason": ["stale"] * 100})
    pq.write_table(wrong, stale / "000000.parquet")
    write_records(source, 100)
    verify_parquet(source, target, work, 1, VerifySettings())
    assert "stale" not in pq.read_table(target)["reason"].to_pylist()


@pytest.mark.parametrize("columns", [["response"], ["answer"], ["response", "answer", "correct"]])
def test_a_parquet_without_the_columns_or_with_verdicts_is_refused(tmp_path: Path, columns: list[str]) -> None:
    pq.write_table(pa.table({name: ["x"] for name in columns}), tmp_path / "in.parquet")
    with pytest.raises(ValueError, match="column"):
        verify_parquet(tmp_path / "in.parquet", tmp_path / "out.parquet", tmp_path / "work", 1, VerifySettings())


def test_the_batch_command(tmp_path: Path) -> None:
    write_records(tmp_path / "in.parquet", 50)
    command = [
        sys.executable,
        "-m",
        "scripts.verify.batch",
        str(tmp_path / "in.parquet"),
        str(tmp_path / "out.parquet"),
    ]
    done = subprocess.run(
        [*command, "--work", str(tmp_path / "work"), "--workers", "1"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "verified 50 of 50 rows" in done.stderr
    assert pq.read_table(tmp_path / "out.parquet").num_rows == 50
