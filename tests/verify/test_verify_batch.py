"""The executor and its command: rows stay in place, kills cost nothing, mistakes are told in words."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from verifiers import became_true

from scripts.verify import VerifySettings, __main__, batch
from scripts.verify.batch import verify_file
from scripts.verify.items import BLOCK

ROOT = Path(__file__).parents[2]
QUICK = '{"response": "\\\\boxed{7}", "answer": {"kind": "math", "spec": {"target": "7"}}}\n'
SLOW = '{"response": "\\\\boxed{10^{10^{10^{10}}}}", "answer": {"kind": "math", "spec": {"target": "x^2 + 1"}}}\n'


def command(folder: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "scripts.verify", *(str(folder / name) for name in arguments[:2]), *arguments[2:]]


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(folder, *arguments), cwd=ROOT, capture_output=True, text=True)


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
    seen: list[tuple[int, int, int]] = []
    counts = verify_file(
        tmp_path / "in.parquet", tmp_path / "out.parquet", 1, VerifySettings(), lambda *at: seen.append(at)
    )
    before, after = pq.read_table(tmp_path / "in.parquet"), pq.read_table(tmp_path / "out.parquet")
    assert after.drop_columns(["correct", "reason"]).equals(before)
    expected = [None if row % 11 == 10 else {0: True, 1: False}.get(row % 4) for row in range(4500)]
    assert after["correct"].to_pylist() == expected
    assert sum(counts.values()) == 4500
    assert counts["null  bad row"] == 409
    assert seen == [(done, done, 4500) for done in (BLOCK, 2 * BLOCK, 4500)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.parquet", "out.parquet"]


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
def test_the_bytes_do_not_depend_on_workers_or_interruptions(tmp_path: Path, suffix: str) -> None:
    source = tmp_path / f"in.{suffix}"
    if suffix == "parquet":
        write_records(source, 3 * BLOCK)
    else:
        source.write_text((QUICK + "oops\n") * (3 * BLOCK // 2))
    for workers in (1, 2, 3):
        verify_file(source, tmp_path / f"{workers}.{suffix}", workers, VerifySettings())

    class Killed(BaseException):
        pass

    def kill(done: int, fresh: int, total: int) -> None:
        if done == 2 * BLOCK:
            raise Killed

    target = tmp_path / f"killed.{suffix}"
    with pytest.raises(Killed):
        verify_file(source, target, 2, VerifySettings(), kill)
    assert not target.exists()
    seen: list[tuple[int, int, int]] = []
    verify_file(source, target, 2, VerifySettings(), lambda *at: seen.append(at))
    assert seen == [(BLOCK, 0, 3 * BLOCK), (2 * BLOCK, 0, 3 * BLOCK), (3 * BLOCK, BLOCK, 3 * BLOCK)]
    contents = {(tmp_path / f"{name}.{suffix}").read_bytes() for name in ("1", "2", "3", "killed")}
    assert len(contents) == 1


def test_the_command_goes_on_after_a_kill(tmp_path: Path) -> None:
    """SIGKILL while the second block is under way: the first is not verified again, the result is the same."""
    (tmp_path / "in.jsonl").write_text(QUICK * BLOCK + SLOW + QUICK)
    options = ("--workers", "1", "--settings", '{"cpu_seconds": 1.5}')
    first = tmp_path / "out.jsonl.work"
    with subprocess.Popen(command(tmp_path, "in.jsonl", "out.jsonl", *options), cwd=ROOT) as process:
        assert became_true(lambda: bool(list(first.glob("*/000000.json"))))
        process.send_signal(signal.SIGKILL)
    assert not (tmp_path / "out.jsonl").exists()
    done = run(tmp_path, "in.jsonl", "out.jsonl", *options)
    assert f"verified {BLOCK + 2:,} of {BLOCK + 2:,} ({BLOCK:,} of an earlier run)" in done.stderr
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["correct"] for row in rows] == [True] * BLOCK + [None, True]
    assert rows[BLOCK]["reason"] == "timeout: more than 1.5 s of CPU time"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]


def test_blocks_of_another_input_or_other_settings_are_not_reused(tmp_path: Path) -> None:
    source, target = tmp_path / "in.parquet", tmp_path / "out.parquet"
    stale, foreign = tmp_path / "out.parquet.work" / "0123456789abcdef", tmp_path / "out.parquet.work" / "mine.txt"
    stale.mkdir(parents=True)
    (stale / "000000.json").write_text(json.dumps([[True, "stale"]] * 100))
    foreign.write_text("not the verifier's")
    write_records(source, 100)
    verify_file(source, target, 1, VerifySettings())
    assert "stale" not in pq.read_table(target)["reason"].to_pylist()
    assert not stale.exists()
    assert foreign.exists()


def test_two_runs_do_not_write_one_output(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text(QUICK)
    (tmp_path / "out.jsonl.work").mkdir()
    with (tmp_path / "out.jsonl.work" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ValueError, match="another run is writing"):
            verify_file(tmp_path / "in.jsonl", tmp_path / "out.jsonl", 1, VerifySettings())
    verify_file(tmp_path / "in.jsonl", tmp_path / "out.jsonl", 1, VerifySettings())
    assert (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize("name", ["in.jsonl", "in.parquet"])
def test_an_empty_file_gives_an_empty_file(tmp_path: Path, name: str) -> None:
    if name == "in.parquet":
        write_records(tmp_path / "some.parquet", 4)
        pq.write_table(pq.read_table(tmp_path / "some.parquet").slice(0, 0), tmp_path / name)
    else:
        (tmp_path / name).write_text("")
    target = tmp_path / name.replace("in", "out")
    assert verify_file(tmp_path / name, target, 1, VerifySettings()) == {}
    assert pq.read_metadata(target).num_rows == 0 if name == "in.parquet" else target.read_text() == ""


def test_a_line_as_deep_as_can_be_read_is_written_again(tmp_path: Path) -> None:
    """json's readers and writers stop at the interpreter's recursion limit, each counting from where it is called."""
    lines = [
        '{"response": "x", "answer": {"kind": "none"}, "deep": ' + "[" * n + "]" * n + "}\n" for n in range(900, 1000)
    ]
    (tmp_path / "in.jsonl").write_text("".join(lines))
    limit = sys.getrecursionlimit()
    counts = verify_file(tmp_path / "in.jsonl", tmp_path / "out.jsonl", 1, VerifySettings())
    assert sum(counts.values()) == len((tmp_path / "out.jsonl").read_text().splitlines()) == 100
    assert 0 < counts["null  bad line"] < 100
    assert sys.getrecursionlimit() == limit


@pytest.mark.parametrize(
    "columns", [["response"], ["answer"], ["response", "answer"], ["response", "answer", "correct"]]
)
def test_a_parquet_without_the_columns_or_with_verdicts_is_refused(tmp_path: Path, columns: list[str]) -> None:
    pq.write_table(pa.table({name: ["x"] for name in columns}), tmp_path / "in.parquet")
    with pytest.raises(ValueError, match="column"):
        verify_file(tmp_path / "in.parquet", tmp_path / "out.parquet", 1, VerifySettings())


MISTAKES = {
    "no such file": (["missing.jsonl", "out.jsonl"], "missing.jsonl is not a regular file"),
    "Parquet into lines": (["in.parquet", "out.jsonl"], "call the output .parquet too"),
    "lines into Parquet": (["in.jsonl", "out.parquet"], "must end in .parquet, input and output both"),
    "Parquet under another name": (["table.jsonl", "out.jsonl"], "must end in .parquet, input and output both"),
    "lines called Parquet": (["lines.parquet", "out.parquet"], "is not Parquet"),
    "compressed": (["in.jsonl.gz", "out.jsonl"], "is compressed: unpack it first"),
    "settings that are no JSON": (["in.jsonl", "out.jsonl", "--settings", "boxed"], "--settings: "),
    "an unknown setting": (["in.jsonl", "out.jsonl", "--settings", '{"math": 1}'], "math"),
    "workers": (["in.jsonl", "out.jsonl", "--workers", "-1"], "workers must be 0 or more"),
}


def test_mistakes_are_told_in_words_and_leave_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in.jsonl").write_text(QUICK)
    (tmp_path / "lines.parquet").write_text(QUICK)
    (tmp_path / "in.jsonl.gz").write_bytes(b"\x1f\x8b\x08\0")
    write_records(tmp_path / "in.parquet", 3)
    (tmp_path / "table.jsonl").write_bytes((tmp_path / "in.parquet").read_bytes())
    before = sorted(path.name for path in tmp_path.iterdir())
    for name, (arguments, words) in MISTAKES.items():
        monkeypatch.setattr(sys, "argv", command(tmp_path, *arguments)[2:])
        with pytest.raises(SystemExit, match=re.escape(words)):
            __main__.main()
        assert sorted(path.name for path in tmp_path.iterdir()) == before, name


def test_a_mistake_is_a_failure_without_a_traceback(tmp_path: Path) -> None:
    done = run(tmp_path, "missing.jsonl", "out.jsonl")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"not verified: {tmp_path}/missing.jsonl is not a regular file (it is read more than once)\n"


def test_the_help_shows_a_line_in_and_how_to_go_on_and_the_job_s_cores() -> None:
    """On one core of the machine's, as a job of a cluster may have."""
    script = (
        "import os, sys; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); os.execv(sys.argv[1], sys.argv[1:])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script, sys.executable, "-m", "scripts.verify", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"COLUMNS": "200"},
    ).stdout
    for words in (
        '"spec": {"target": "18"}',
        ".parquet",
        "(default: this job's cores, 1)",
        "--settings",
        "After a kill",
    ):
        assert words in shown, words


def test_counts_are_by_value_and_the_first_words() -> None:
    assert batch.count_name(batch.Verdict(None, "bad line: not JSON: x")) == "null  bad line"
    assert batch.count_name(batch.Verdict(True, "same text")) == "true  same text"
