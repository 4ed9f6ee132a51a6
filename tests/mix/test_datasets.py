"""Data sets: the rows that pass each filter, one response per prompt, exact mixtures, order, and the card."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from scripts.common import records
from scripts.common.artifacts import check, write_manifest
from scripts.mix import build as step
from scripts.mix.build import build
from scripts.mix.candidates import draw
from scripts.mix.card import Tally, card
from scripts.mix.quotas import MixError
from scripts.mix.settings import BuildSettings, Dataset
from tests.common.nano import run_step, save_records

ROOT = Path(__file__).resolve().parents[2]
Row = dict[str, Any]
VERDICTS = records.schema_with(
    ("teacher", pa.string()),
    ("sample", pa.int32()),
    ("response", pa.string()),
    ("thinking", pa.bool_()),
    ("accepted", pa.bool_()),
)
GRADES = records.schema_with(("pass_rate", pa.float64()), ("band", pa.string()), ("degenerate", pa.bool_()))


def item(number: int, domain: str = "math", source: str = "a") -> Row:
    turns = [{"role": "user", "content": f"q{number}"}, {"role": "assistant", "content": f"own {number}"}]
    return dict(records.make_record(source, domain, turns, ("math", {"target": str(number)}), {}))


def candidates(number: int, accepted: list[bool], domain: str = "math", thinking: bool = False) -> list[Row]:
    """One prompt with a response of the teacher for each entry."""
    return [
        item(number, domain)
        | {"teacher": "t", "sample": i, "response": f"r{number}.{i}", "thinking": thinking, "accepted": ok}
        for i, ok in enumerate(accepted)
    ]


def graded(number: int, band: str, degenerate: bool) -> Row:
    return item(number) | {"band": band, "degenerate": degenerate, "pass_rate": 0.5}


def make(
    root: Path, rows: list[Row], schema: pa.Schema = records.SCHEMA, seed: int = 1, **settings: Any
) -> tuple[list[Row], Row]:
    """Build a data set from rows; its records and counts."""
    origin = root / "origin"
    records.write(origin, rows, schema)
    dataset = Dataset.model_validate({"purpose": "sft", "size": None, "select": {"kind": "random"}} | settings)
    out = root / "out"
    counts = build([origin], BuildSettings(name="d", dataset=dataset, licences={"a": "MIT"}), seed, out, root / "work")
    return records.read(out / records.RECORDS), counts


def responses(rows: list[Row]) -> set[str]:
    return {records.response_of(row["messages"]) for row in rows}


def test_sft_from_a_pool_keeps_the_records_own_responses(tmp_path: Path) -> None:
    rows, counts = make(tmp_path, [item(1), item(2), item(3) | {"messages": item(3)["messages"][:1]}], pool="p")
    assert responses(rows) == {"own 1", "own 2"}
    assert counts["in"] == 3 and counts["kept"] == 2 and counts["excluded"] == {"no response": 1}
    assert rows[0].keys() == item(1).keys()


def test_verified_takes_one_accepted_response_per_prompt(tmp_path: Path) -> None:
    origin = candidates(1, [False, True, True, False]) + candidates(2, [False, False]) + candidates(3, [True])
    rows, counts = make(tmp_path, origin, VERDICTS, responses="r", correct="verified")
    assert len(rows) == 2 and responses(rows) <= {"r1.1", "r1.2", "r3.0"}
    assert counts["excluded"] == {"not accepted": 4, "other response of the prompt": 1}
    assert all(row["teacher"] == "t" and row["messages"][0]["content"].startswith("q") for row in rows)


def test_each_response_of_a_prompt_is_equally_likely(tmp_path: Path) -> None:
    origin = [row for number in range(400) for row in candidates(number, [True, True])]
    rows, _ = make(tmp_path, origin, VERDICTS, responses="r", correct="verified")
    first = sum(records.response_of(row["messages"]).endswith(".0") for row in rows)
    assert 160 <= first <= 240  # 200 expected, standard deviation 10


def test_any_and_the_size_matched_control(tmp_path: Path) -> None:
    origin = [row for number in range(60) for row in candidates(number, [number % 3 == 0, False])]
    origin += [row for number in range(60, 80) for row in candidates(number, [number % 2 == 0, False], "code")]
    verified, _ = make(tmp_path / "v", origin, VERDICTS, responses="r", correct="verified")
    everything, _ = make(tmp_path / "a", origin, VERDICTS, responses="r", correct="any")
    control, counts = make(tmp_path / "m", origin, VERDICTS, responses="r", correct="size-matched")
    by_domain = Counter(row["domain"] for row in verified)
    assert by_domain == Counter(row["domain"] for row in control) == {"math": 20, "code": 10}
    assert len(everything) == 80
    right = {row["id"] for row in verified}
    assert 2 <= sum(row["id"] in right for row in control) <= 22  # drawn without a look at the verdicts: about 3 of 8
    assert counts["excluded"] == {"beyond the verified set's size": 50, "other response of the prompt": 80}


def test_sft_and_rl_of_the_same_filters_hold_the_same_prompts(tmp_path: Path) -> None:
    origin = [row for number in range(50) for row in candidates(number, [True, number % 2 == 0, False])]
    sft, _ = make(tmp_path / "sft", origin, VERDICTS, responses="r", correct="verified", size=20)
    rl, _ = make(tmp_path / "rl", origin, VERDICTS, purpose="rl", responses="r", correct="verified", size=20)
    assert [row["id"] for row in sft] == [row["id"] for row in rl]
    assert all([turn["role"] for turn in row["messages"]] == ["user"] for row in rl)
    assert all(json.loads(row["answer"]["spec"])["target"] == row["messages"][0]["content"][1:] for row in rl)


@pytest.mark.parametrize(("thinking", "left"), [(True, {"r1.0"}), (False, {"r2.0"}), (None, {"r1.0", "r2.0"})])
def test_thinking_of_responses(tmp_path: Path, thinking: bool | None, left: set[str]) -> None:
    origin = candidates(1, [True], thinking=True) + candidates(2, [True])
    assert responses(make(tmp_path, origin, VERDICTS, responses="r", thinking=thinking)[0]) == left


def test_thinking_of_a_pools_own_responses(tmp_path: Path) -> None:
    thought = item(1)
    thought["messages"][1]["content"] = "<think>hm</think>own 1"
    rows, counts = make(tmp_path, [thought, item(2)], pool="p", thinking=True)
    assert responses(rows) == {"<think>hm</think>own 1"} and counts["excluded"] == {"no thinking": 1}


@pytest.mark.parametrize(
    ("settings", "left", "excluded"),
    [
        ({"bands": ["medium"]}, {"q3"}, {"band easy": 2, "band hard": 2}),
        ({"bands": ["easy", "hard"]}, {"q2", "q4"}, {"band medium": 1, "degenerate": 2}),
        ({"bands": ["hard"], "include_degenerate": True}, {"q4", "q5"}, {"band easy": 2, "band medium": 1}),
        ({}, {"q2", "q3", "q4"}, {"degenerate": 2}),
    ],
)
def test_bands_and_degenerate_prompts(tmp_path: Path, settings: Row, left: set[str], excluded: dict[str, int]) -> None:
    origin = [graded(1, "easy", True), graded(2, "easy", False), graded(3, "medium", False)]
    origin += [graded(4, "hard", False), graded(5, "hard", True)]
    rows, counts = make(tmp_path, origin, GRADES, purpose="rl", graded="g", **settings)
    assert {row["messages"][0]["content"] for row in rows} == left and counts["excluded"] == excluded
    assert counts["in"] == 5 and set(counts["by_band"]) <= {"easy", "medium", "hard"} and "pass_rate" in rows[0]


def test_ratios_give_the_exact_mixture_and_every_row_is_counted(tmp_path: Path) -> None:
    origin = [item(i, ("math", "code", "general")[i % 3], source="ab"[i % 2]) for i in range(90)]
    rows, counts = make(tmp_path, origin, pool="p", size=20, ratios={"math": 2, "code": 1})
    assert counts["by_domain"] == {"code": 7, "math": 13} == Counter(row["domain"] for row in rows)
    assert counts["excluded"] == {"domain general not in the ratios": 30}
    assert counts["not_selected"] == {"code": 23, "math": 17}
    assert (
        counts["in"] == 90 == counts["kept"] + sum(counts["excluded"].values()) + sum(counts["not_selected"].values())
    )


@pytest.mark.parametrize("kind", ["random", "cluster", "k-center"])
def test_no_source_is_above_its_cap_and_the_sizes_hold(tmp_path: Path, kind: str) -> None:
    """Source a has 60 of 90 records and may give half of 30; c has no weight, so its records are excluded."""
    origin = [item(i, ("math", "code")[i % 2], source="aab"[i % 3]) for i in range(90)]
    origin += [item(i, source="c") for i in range(90, 95)]
    rows, counts = make(
        tmp_path,
        origin,
        pool="p",
        size=30,
        ratios={"math": 2, "code": 1},
        source_ratios={"a": 5, "b": 1},
        caps={"a": 0.5},
        select={"kind": kind, "clusters": 3, "dimensions": 4},
    )
    assert counts["by_source"] == {"a": 15, "b": 15} and counts["by_domain"] == {"code": 10, "math": 20}
    assert counts["excluded"] == {"source c not in the source_ratios": 5} and len(rows) == 30
    rows, counts = make(tmp_path, origin, pool="p", size=None, caps={"a": 7, "c": 2})
    assert counts["by_source"] == {"a": 7, "b": 30, "c": 2} and len(rows) == 39


def test_too_small_a_pool_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MixError, match=r"datasets\.d: wants 4 records, 3 are left .* Lower `size` to 3"):
        make(tmp_path / "few", [item(i) for i in range(3)], pool="p", size=4)
    with pytest.raises(MixError, match=r"no record is left after its filters: \{'not accepted': 2\}"):
        make(tmp_path / "none", candidates(1, [False, False]), VERDICTS, responses="r", correct="verified", size=1)
    with pytest.raises(MixError, match="what it is made from holds no record"):
        make(tmp_path / "empty", [], pool="p", size=1)
    with pytest.raises(MixError, match=r"wants 3 records, 1 .* Excluded before: \{'not accepted': 1, 'other"):
        make(tmp_path / "why", candidates(1, [True, False, True]), VERDICTS, responses="r", correct="verified", size=3)


def test_pretraining_text_is_taken_as_it_is(tmp_path: Path) -> None:
    text = dict(
        records.make_record("a", "general", [{"role": "assistant", "content": "Once upon a time."}], ("none", {}), {})
    )
    rows, _ = make(tmp_path, [text, item(1)], purpose="pretrain", sources=("a",))
    assert sorted(len(row["messages"]) for row in rows) == [1, 2]


def test_the_order_is_drawn_by_the_seed(tmp_path: Path) -> None:
    origin = [item(i) for i in range(30)]
    one, two = (make(tmp_path / str(seed), origin, pool="p", seed=seed)[0] for seed in (1, 2))
    assert [row["id"] for row in one] != [row["id"] for row in origin] != [row["id"] for row in two]
    assert [row["id"] for row in one] != [row["id"] for row in two]
    assert sorted(row["id"] for row in one) == sorted(row["id"] for row in two)


def test_a_null_field_in_the_meta_passes_and_ten_megabytes_too(tmp_path: Path) -> None:
    big = item(1)
    big["messages"][0]["content"] = "word " * 2_000_000
    rows, counts = make(tmp_path, [big, item(2) | {"meta": None, "answer": None}], pool="p")
    assert len(rows) == 2 and counts["words"]["prompt"][-1] == 2_000_000


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pool": "p", "graded": "g"}, "name exactly one of"),
        ({}, "name exactly one of"),
        ({"pool": "p", "bands": ["easy"]}, "bands need a graded set"),
        ({"pool": "p", "correct": "verified"}, "verified needs verdicts"),
        ({"pool": "p", "ratios": {"math": 1}}, "ratios need a size"),
        ({"pool": "p", "caps": {"a": 0.5}}, "caps below 1 need a size"),
        ({"pool": "p", "caps": {"a": 1.0}}, "less than 1"),
        ({"pool": "p", "temperature": 2, "source_ratios": {"a": 1}}, "source_ratios, temperature need a size"),
    ],
)
def test_contradictory_settings_are_refused(settings: Row, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Dataset.model_validate({"purpose": "sft", "size": None, "select": {"kind": "random"}} | settings)


def test_the_card_loads_as_a_data_set(tmp_path: Path) -> None:
    origin = [item(i, ("math", "code")[i % 2], source="ab"[i % 2]) for i in range(10)]
    make(tmp_path, origin, pool="p", size=6)
    text = (tmp_path / "out" / "README.md").read_text()
    assert "6 records for sft." in text and "| a | 3 | 50.0% |" in text
    assert "| a | 3 | MIT |" in text and "| b | 3 | not stated |" in text and "| prompt | 1 |" in text
    assert "| not selected | 4 |" in text and "license: other\n" in text
    import datasets

    write_manifest(tmp_path / "out", {})  # beside the records, as the step writes it

    loaded = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"), split="train")
    assert len(loaded) == 6 and loaded[0]["messages"][1]["content"].startswith("own")


@pytest.mark.parametrize(
    ("licences", "stated"),
    [
        ({"a": "MIT", "b": "Apache-2.0", "c": "unused"}, ["apache-2.0", "mit"]),
        ({"a": "CC-BY-4.0", "b": "CC-BY-4.0"}, "cc-by-4.0"),
        ({"a": "MIT", "b": "ODC-BY-1.0 (parts have terms of their own)"}, "other"),
        ({"a": "MIT"}, "other"),
    ],
)
def test_the_cards_licence_is_that_of_all_sources(licences: dict[str, str], stated: str | list[str]) -> None:
    from huggingface_hub import DatasetCard

    tally = Tally(records.SCHEMA.names)
    for number in range(4):
        tally.add(item(number, source="ab"[number % 2]))
    text = card("d", "sft", tally, licences, {"no response": 2}, {"size": 4})
    assert DatasetCard(text).data.license == stated and "| no response | 2 |" in text


def test_the_step_makes_the_same_bytes_twice(tmp_path: Path) -> None:
    origin = [item(i, ("math", "code")[i % 2]) for i in range(60)]
    records.write(tmp_path / "pool" / "records", origin)
    write_manifest(tmp_path / "pool", {})
    dataset = {"purpose": "sft", "pool": "p", "size": 20, "select": {"kind": "cluster", "clusters": 4, "dimensions": 8}}
    recipe = json.dumps({"settings": {"name": "d", "dataset": dataset}, "seed": 1})
    for name in ("one", "two"):
        command = [sys.executable, "-m", "scripts.mix.build", "--recipe", recipe, "--pool", "pool/manifest.json"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [*command, "--out", f"{name}/manifest.json"], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    for file in ("manifest.json", "README.md"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_an_origin_of_another_kind_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pool = save_records(tmp_path / "pool", [item(1)])
    settings = {"name": "d", "dataset": {"purpose": "rl", "graded": "g", "size": 1, "select": {"kind": "random"}}}
    with pytest.raises(
        MixError, match=r"pool/records/00000.parquet has no column band, degenerate: it is not an artifact"
    ):
        run_step(step, settings, tmp_path / "out/manifest.json", graded=pool)
    with pytest.raises(MixError, match=r"datasets\.d is made from --graded, not from \['pool'\]"):
        run_step(step, settings, tmp_path / "out/manifest.json", pool=pool)


def test_a_full_disk_leaves_nothing_and_the_next_run_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel limits the size of a file, so a write fails amid the records, as on a full disk."""
    monkeypatch.chdir(tmp_path)
    text = "".join(f"{number * 7919 % 10007:x} " for number in range(10_000))
    save_records(tmp_path / "pool", [item(i) | {"meta": text[i : i + 20_000]} for i in range(200)])
    settings = {"name": "d", "dataset": {"purpose": "sft", "pool": "p", "size": 150, "select": {"kind": "random"}}}
    out, before = tmp_path / "out/manifest.json", resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            run_step(step, settings, out, pool=tmp_path / "pool/manifest.json")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.name for path in tmp_path.iterdir() if path.name not in ("pool", "work")] == []
    run_step(step, settings, out, pool=tmp_path / "pool/manifest.json")
    assert check(out) == [] and len(records.read(out.parent / records.RECORDS)) == 150
    assert not [*(tmp_path / "work").iterdir()]


def test_a_draw_depends_on_every_part() -> None:
    assert draw(1, "x", "a", "b") == draw(1, "x", "a", "b")
    assert len({draw(1, "x", "a", "b"), draw(2, "x", "a", "b"), draw(1, "y", "a", "b"), draw(1, "x", "ab")}) == 4
