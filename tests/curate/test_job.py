"""A job of curation: every record in exactly one place, in order, the same bytes for any number of workers."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from curation import Row, chat, dropped, job, kept, record, write
from datatrove.data import Document
from datatrove.pipeline.filters.base_filter import BaseFilter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scripts.common import records
from scripts.common.artifacts import write_manifest
from scripts.curate import corpus, shard, views
from scripts.curate.corpus import CurationError, open_corpus
from scripts.curate.format import FormatFilter
from scripts.curate.length import LengthFilter
from scripts.curate.settings.format import Format
from scripts.curate.settings.length import Length

LENGTH = LengthFilter(Length(step="length", minimum=2, maximum=4))
FORMAT = FormatFilter(Format(step="format", last_role="assistant"))


def test_kept_and_dropped_are_the_input_in_its_order(tmp_path: Path) -> None:
    rows = [chat("w " * (index % 7), None, source=f"s{index % 2}") | {"id": f"{index:016x}"} for index in range(50)]
    work = job(tmp_path, "length", rows[:20], rows[20:])
    counts = work.filter(LENGTH, views.whole)
    assert [row["id"] for row in kept(work)] == [row["id"] for i, row in enumerate(rows) if 2 <= i % 7 <= 4]
    assert [row["id"] for row in dropped(work)] == [row["id"] for i, row in enumerate(rows) if not 2 <= i % 7 <= 4]
    assert counts == {"in": 50, "kept": 21, "dropped": {"too-long": 14, "too-short": 15}}
    assert {(row["step"], row["reason"]) for row in dropped(work)} == {("length", "too-long"), ("length", "too-short")}
    assert kept(work)[0] == rows[2]  # nothing is added, renamed or changed


def test_any_number_of_workers_gives_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "TASK", 20)
    rows = [chat("w " * (index % 7), None) | {"id": f"{index:016x}"} for index in range(100)]
    files = []
    for workers in (1, 3):
        work = job(tmp_path / str(workers), "length", rows, workers=workers, group=10)
        assert len(work.corpus.tasks) == 5
        work.filter(LENGTH, views.whole)
        write_manifest(work.out, {})
        files.append({path.relative_to(work.out): path.read_bytes() for path in work.out.rglob("*") if path.is_file()})
    assert files[0] == files[1] and len(files[0]) == 11
    assert [row["id"] for row in kept(work)] == [row["id"] for i, row in enumerate(rows) if 2 <= i % 7 <= 4]


def test_progress_says_how_far_it_is_and_how_long_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(corpus, "TASK", 20)
    work = job(tmp_path, "length", [chat("a b c")] * 100, group=10)
    work.filter(LENGTH, views.whole)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("length, filter:")]
    assert [line.split(",")[1].split(" of")[0].strip() for line in lines] == [f"filter: {n}" for n in (1, 2, 3, 4, 5)]
    assert all("of 5 tasks (100 records in all)" in line and "s left" in line for line in lines)
    assert "about 0 s left" in lines[-1]


def test_rows_are_written_in_groups_that_memory_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "BATCH", 10)
    monkeypatch.setattr(shard, "GROUP_BYTES", 50_000)
    work = job(tmp_path, "format", [chat("q", "word " * 2_000) | {"id": str(index)} for index in range(50)])
    work.filter(FORMAT, views.whole)
    file = pq.ParquetFile(work.out / "records" / "00000.parquet")
    assert [file.metadata.row_group(index).num_rows for index in range(file.num_row_groups)] == [10] * 5
    assert [row["id"] for row in kept(work)] == [str(index) for index in range(50)]


def test_empty_input_gives_empty_shards_with_the_schema(tmp_path: Path) -> None:
    work = job(tmp_path, "length", [])
    assert work.filter(LENGTH, views.whole) == {"in": 0, "kept": 0, "dropped": {}}
    assert kept(work) == dropped(work) == []
    assert pq.read_schema(work.out / "dropped" / "00000.parquet").names == [*records.SCHEMA.names, "step", "reason"]


def test_null_fields_are_dropped_with_a_reason_and_stay_null(tmp_path: Path) -> None:
    rows: list[Row] = [record(None), record([None]), chat(None, "a"), chat("q", None), chat("q", "a")]
    rows[0] |= {"id": None, "source": None, "domain": None, "answer": None, "meta": None}
    work = job(tmp_path, "format", rows)
    counts = work.filter(FORMAT, views.whole)
    reasons = {"empty-message": 1, "ends-with-user": 1, "no-messages": 1, "unknown-role": 1}
    assert counts == {"in": 5, "kept": 1, "dropped": reasons}
    assert {name: dropped(work)[0][name] for name in records.SCHEMA.names} == rows[0]


def test_a_message_of_ten_megabytes_passes_through(tmp_path: Path) -> None:
    huge = chat("q", "word " * 2_000_000)
    work = job(tmp_path, "format", [chat("q", "a"), huge, chat("q", "b")])
    started = time.perf_counter()
    assert work.filter(FORMAT, views.whole)["kept"] == 3
    assert time.perf_counter() - started < 20
    assert kept(work)[1]["messages"] == huge["messages"]


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", [chat("q", "a")] * 100)
    shard = folder / "00000.parquet"
    shard.write_bytes(shard.read_bytes()[:-20])
    with pytest.raises(CurationError, match=r"in/00000\.parquet is not a readable Parquet file"):
        open_corpus([folder])
    with pytest.raises(CurationError, match="holds no Parquet shard"):
        open_corpus([tmp_path / "nothing"])


class Crashing(BaseFilter):
    """Fails at the record whose prompt is the word, as a killed job would stop there."""

    name = "crashing"

    def __init__(self, word: str):
        super().__init__()
        self.word = word

    def filter(self, doc: Document) -> bool:
        if doc.text == self.word:
            raise RuntimeError("killed")
        return True


class Killing(LengthFilter):
    """The length filter until a long text of the third task; there the process gets SIGKILL."""

    def __init__(self, text: str):
        super().__init__(LENGTH.settings)
        self.text = text

    def filter(self, doc: Document) -> bool | tuple[bool, str]:
        if doc.text == self.text and int(doc.id) >= 45:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().filter(doc)


def test_a_step_that_died_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "TASK", 2)
    rows = [chat(f"p{index}") for index in range(6)]
    work = job(tmp_path, "length", rows, group=2)
    with pytest.raises(RuntimeError, match="killed"):
        work.filter(Crashing("p3"), views.prompt)
    assert not work.out.exists()
    first = (work.work / "records" / "00000.parquet").stat().st_mtime_ns
    assert work.filter(Crashing("none"), views.prompt)["kept"] == 6
    assert (work.work / "records" / "00000.parquet").stat().st_mtime_ns == first  # finished before, not repeated
    assert [row["messages"][0]["content"] for row in kept(work)] == [f"p{index}" for index in range(6)]


def test_a_killed_process_goes_on_to_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "TASK", 20)
    rows = [chat("w " * (index % 7), None) | {"id": f"{index:016x}"} for index in range(100)]
    work, whole = (job(tmp_path / name, "length", rows, group=10) for name in ("killed", "whole"))

    def filter_in_a_group_of_its_own() -> None:
        os.setsid()
        work.filter(Killing("w w w w w w "), views.whole)

    process = multiprocessing.get_context("fork").Process(target=filter_in_a_group_of_its_own)
    process.start()
    process.join()
    assert process.pid is not None
    os.killpg(process.pid, signal.SIGKILL)  # DataTrove's manager process outlives it, and would keep our output open
    assert process.exitcode == -signal.SIGKILL and not work.out.exists()
    assert len(list((work.work / "log" / "filter" / "completions").iterdir())) == 2  # tasks done before
    assert work.filter(LENGTH, views.whole) == whole.filter(LENGTH, views.whole)
    files = [{path.name: path.read_bytes() for path in (one.out / "records").iterdir()} for one in (work, whole)]
    assert files[0] == files[1] and set(files[0]) == {f"{index:05d}.parquet" for index in range(5)}


def test_a_worker_that_is_killed_ends_the_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the kernel does where memory is short. Before, the step waited for that worker's task for ever."""
    monkeypatch.setattr(corpus, "TASK", 50)
    rows = [chat("w " * (index % 7), None) | {"id": f"{index:016x}"} for index in range(100)]
    work, whole = (job(tmp_path / str(n), "length", rows, group=10, workers=n) for n in (2, 1))
    assert len(work.corpus.tasks) == 2
    signal.alarm(60)  # a hang is a failure
    try:
        with pytest.raises(MemoryError, match=r"length: a worker process was killed.*raise memory_gb"):
            work.filter(Killing("w w w w w w "), views.whole)
    finally:
        signal.alarm(0)
    assert not work.out.exists()
    assert work.filter(LENGTH, views.whole) == whole.filter(LENGTH, views.whole)
    assert kept(work) == kept(whole)


def test_books_that_do_not_balance_are_an_error(tmp_path: Path) -> None:
    work = job(tmp_path, "length", [chat("one two three")])
    work.filter(LENGTH, views.whole)
    shutil.rmtree(work.out)
    pq.write_table(
        pq.read_table(work.work / "records" / "00000.parquet").slice(0, 0), work.work / "records/00000.parquet"
    )
    with pytest.raises(CurationError, match="1 records in, but 0 kept \\+ 0 dropped"):
        work.filter(LENGTH, views.whole)


TEXT = st.one_of(st.none(), st.text(st.characters(codec="utf-8"), max_size=12))
MESSAGES = st.one_of(
    st.none(),
    st.lists(
        st.one_of(
            st.none(),
            st.fixed_dictionaries(
                {"role": st.sampled_from(["user", "assistant", "system", "x", None]), "content": TEXT}
            ),
        ),
        max_size=4,
    ),
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lists=st.lists(MESSAGES, max_size=8))
def test_nothing_is_lost_whatever_the_messages_are(tmp_path: Path, lists: list[list[Row] | None]) -> None:
    root = tmp_path / str(time.perf_counter_ns())
    rows = [record(messages) | {"id": str(index)} for index, messages in enumerate(lists)]
    work = job(root, "format", rows)
    counts = work.filter(FORMAT, views.whole)
    assert counts["in"] == len(rows) == counts["kept"] + sum(counts["dropped"].values())
    assert sorted(row["id"] for row in kept(work) + dropped(work)) == sorted(row["id"] for row in rows)
