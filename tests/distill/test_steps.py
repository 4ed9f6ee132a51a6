"""The distillation steps end to end on a nano model: columns, counts, alignment, bad input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from scripts.common.artifacts import read_json
from scripts.common.fingerprint import ROOT, closure
from scripts.common.records import DROPPED, RECORDS, make_record, read
from scripts.distill import cross_verify, grade, judge, sample
from scripts.distill.gather import gather
from scripts.distill.records import DistillError
from scripts.distill.settings.grade import Bands
from scripts.distill.settings.sample import SampleSettings
from tests.common.nano import math_records, run_step, save_model, save_records

ENGINE = {"kind": "transformers", "dtype": "float32", "batch_size": 8, "shard_size": 4}
DRAW = {"samples": 2, "sampling": {"temperature": 1.0, "max_tokens": 12}, "thinking": False}
CHOICE = ("choice", {"target": "B"})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("nano") / "teacher")


@pytest.fixture(autouse=True)
def _scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def odd_records() -> list[dict[str, Any]]:
    """Sums, one of them without an answer, a chat without a verifier, and a prompt longer than the nano's context."""
    records = math_records()
    records[1] = records[1] | {"answer": None}
    chat = [{"role": "user", "content": "Tell me about 3."}, {"role": "assistant", "content": "It is a number."}]
    long = [{"role": "user", "content": "What is 1 plus 2? " * 30}]
    records.insert(3, dict(make_record("chat", "general", chat, ("none", {}), {})))
    records.insert(5, dict(make_record("long", "math", long, ("math", {"target": "3"}), {})))
    return records


def test_sample_keeps_the_pool_order_and_counts_what_does_not_fit(model: Path, tmp_path: Path) -> None:
    pool = save_records(tmp_path / "pool", odd_records())
    settings = {"responses": DRAW, "engine": ENGINE}
    out = run_step(sample, settings, tmp_path / "samples/teacher/manifest.json", pool=pool, teacher=model)
    kept, dropped = read(out.parent / RECORDS), read(out.parent / DROPPED)
    wanted = odd_records()
    assert [row["id"] for row in kept] == [row["id"] for place, row in enumerate(wanted) if place != 5]
    assert [row["answer"] for row in kept] == [row["answer"] for place, row in enumerate(wanted) if place != 5]
    assert all(len(row["responses"]) == 2 for row in kept)
    assert [(row["id"], row["step"], row["reason"]) for row in dropped] == [
        (wanted[5]["id"], "sample", "prompt too long for the context")
    ]
    counts = read_json(out)["counts"]
    assert (counts["in"], counts["kept"], counts["dropped"]) == (8, 7, {"prompt too long for the context": 1})
    assert counts["responses"] == 14 == sum(counts["finish"].values())
    assert counts["tokens"] == sum(item["tokens"] for row in kept for item in row["responses"])


def test_a_teacher_gets_the_prompt_in_the_template_of_its_domain(model: Path, tmp_path: Path) -> None:
    """The record keeps its prompt; a prompt of a domain without a template stays as it is."""
    records = [math_records()[0], {**math_records()[1], "domain": "general"}]
    pool = save_records(tmp_path / "pool", records)
    template = "{prompt} In {x}."
    first = dict(math_records()[0])
    first["messages"] = [{"role": "user", "content": first["messages"][0]["content"] + " In {x}."}]
    plain = save_records(tmp_path / "plain", [first, records[1]])
    settings = {"responses": DRAW, "engine": ENGINE}
    templated = {"responses": DRAW | {"templates": {"math": template}}, "engine": ENGINE}
    outs = [
        run_step(sample, settings, tmp_path / "a/manifest.json", pool=plain, teacher=model),
        run_step(sample, templated, tmp_path / "b/manifest.json", pool=pool, teacher=model),
        run_step(sample, settings, tmp_path / "c/manifest.json", pool=pool, teacher=model),
    ]
    expected, templated_rows, bare = (read(out.parent / RECORDS) for out in outs)
    assert [row["responses"] for row in templated_rows] == [row["responses"] for row in expected]
    assert [row["messages"] for row in templated_rows] == [record["messages"] for record in records]
    assert (
        templated_rows[0]["responses"] != bare[0]["responses"]
        and templated_rows[1]["responses"] == bare[1]["responses"]
    )
    with pytest.raises(ValidationError, match=r"templates.math\n.*the template has no \{prompt\}"):
        SampleSettings.model_validate(settings | {"responses": DRAW | {"templates": {"math": "What?"}}})


def test_sample_again_gives_the_same_bytes(model: Path, tmp_path: Path) -> None:
    pool = save_records(tmp_path / "pool", math_records())
    settings = {"responses": DRAW, "engine": ENGINE}
    first, second = (
        run_step(sample, settings, tmp_path / name / "manifest.json", pool=pool, teacher=model) for name in "ab"
    )
    assert first.read_bytes() == second.read_bytes()


KILLED = """
import os, signal
from scripts.generation.transformers_engine import TransformersEngine
from scripts.distill import sample

complete, calls = TransformersEngine.complete, []

def killed(*arguments, **named):
    calls.append(None)
    if len(calls) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return complete(*arguments, **named)

TransformersEngine.complete = killed
sample.main()
"""


def test_a_killed_sample_step_continues_after_its_last_shard_with_the_same_bytes(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kill -9 in the third of six shards: nothing looks finished, two are not drawn again, the bytes are the same."""
    from scripts.generation.transformers_engine import TransformersEngine

    pool = save_records(tmp_path / "pool", math_records())
    settings = {"responses": DRAW, "engine": ENGINE | {"shard_size": 1}}
    whole = run_step(sample, settings, tmp_path / "whole/manifest.json", pool=pool, teacher=model).read_bytes()
    out = tmp_path / "again/manifest.json"
    recipe = json.dumps({"settings": settings, "seed": 1, "code": "", "environment": {}})
    command = [sys.executable, "-c", KILLED, "--recipe", recipe, "--pool", str(pool)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    killed = subprocess.run([*command, "--teacher", str(model), "--out", str(out)], env=environment)
    assert killed.returncode == -signal.SIGKILL and not out.exists()
    assert len([*tmp_path.glob("work/*/*.parquet")]) == 2
    complete, drawn = TransformersEngine.complete, list[int]()

    def counted(engine: Any, prompts: Any, *arguments: Any, **named: Any) -> Any:
        drawn.append(len(prompts))
        return complete(engine, prompts, *arguments, **named)

    monkeypatch.setattr(TransformersEngine, "complete", counted)
    assert run_step(sample, settings, out, pool=pool, teacher=model).read_bytes() == whole
    assert drawn == [1] * 4
    assert not [*(tmp_path / "work").iterdir()], "finished: nothing is left to resume from"
    assert [path.name for path in out.parent.parent.iterdir() if "partial" in path.name] == []


def test_sample_takes_the_first_prompts_by_id(model: Path, tmp_path: Path) -> None:
    pool = save_records(tmp_path / "pool", math_records())
    settings = {"responses": DRAW | {"prompts": 2}, "engine": ENGINE}
    out = run_step(sample, settings, tmp_path / "out" / "manifest.json", pool=pool, teacher=model)
    ids = [row["id"] for row in math_records()]
    first = sorted(ids)[:2]
    assert [row["id"] for row in read(out.parent / RECORDS)] == [item for item in ids if item in first]


def test_an_empty_pool_is_an_error_before_the_model_is_loaded(tmp_path: Path) -> None:
    pool = save_records(tmp_path / "pool", [])
    with pytest.raises(DistillError, match="holds no record"):
        run_step(sample, {"responses": DRAW, "engine": ENGINE}, tmp_path / "out/manifest.json", pool=pool, teacher=pool)


# --- Cross-verification ---------------------------------------------------------------------------------------------


def save_samples(folder: Path, records: list[dict[str, Any]], texts: list[list[str]]) -> Path:
    """An artifact as `sample` makes it, with these texts as responses."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from scripts.common.artifacts import write_manifest
    from scripts.common.records import schema_with
    from scripts.generation.shards import COMPLETION

    rows = [
        record | {"responses": [{"text": text, "finish_reason": "stop", "tokens": 5} for text in found]}
        for record, found in zip(records, texts, strict=True)
    ]
    (folder / RECORDS).mkdir(parents=True)
    table = pa.Table.from_pylist(rows, schema=schema_with(("responses", pa.list_(COMPLETION))))
    pq.write_table(table, folder / RECORDS / "00000.parquet")
    write_manifest(folder, {})
    return folder / "manifest.json"


def verify_settings(teachers: list[str], **changes: Any) -> dict[str, Any]:
    responses = DRAW | {"pool": "p", "teachers": teachers, "keep_original": True} | changes
    return {"responses": responses, "verify": {}}


def test_cross_verify_has_a_row_for_every_candidate(tmp_path: Path) -> None:
    """Three prompts, two teachers; the second prompt did not fit teacher b's context, the third has no answer."""
    records = math_records()[:3]
    records[2] = records[2] | {"answer": None}
    pool = save_records(tmp_path / "pool", records)
    chinese = "答案是三,因为一加二等于三。我们可以用手指数一数,结果总是三,不会错的。" * 2
    samples = [
        save_samples(tmp_path / "a", records, [["Answer: 3", "Answer: 4"], ["Answer: 17"] * 2, ["Hm.", "<think>"]]),
        save_samples(tmp_path / "b", [records[0], records[2]], [["Answer: 3", chinese], ["Yes.", "No."]]),
    ]
    out = run_step(
        cross_verify,
        verify_settings(["b", "a"]),
        tmp_path / "verdicts/manifest.json",
        pool=pool,
        samples=samples,
    )
    rows = read(out.parent / RECORDS)
    assert [(row["id"] == records[0]["id"], row["teacher"], row["sample"]) for row in rows[:5]] == [
        (True, "b", 0), (True, "b", 1), (True, "a", 0), (True, "a", 1), (True, "original", 0)
    ]  # fmt: skip
    first = rows[:5]
    assert [row["correct"] for row in first] == [True, False, True, False, True]
    assert [row["vote"] for row in first if row["teacher"] == "a"] == [0.5, 0.25]
    assert first[1]["language_ok"] is False and first[0]["language_ok"] is True
    assert first[1]["accepted"] is False and "language" in first[1]["refused"]
    assert [row["accepted"] for row in first if row["teacher"] == "a"] == [True, False]
    assert first[4]["tokens"] is None and first[4]["response"] == "The answer is 3." and first[4]["accepted"]
    second = [row for row in rows if row["id"] == records[1]["id"]]
    assert [row["teacher"] for row in second] == ["a", "a", "original"]
    assert [row["agreement"] for row in second] == [None, None, 1.0]  # b has no sample, and a agrees
    third = [row for row in rows if row["id"] == records[2]["id"]]
    assert [row["correct"] for row in third] == [None] * 5
    assert {row["vote"] for row in third} == {None}
    assert third[3]["format_ok"] is False  # "<think>" never closed
    counts = read_json(out)["counts"]
    assert counts["prompts"] == 3 and counts["candidates"] == {"a": 6, "b": 4, "original": 3}
    assert sum(counts["verdicts"].values()) == counts["kept"] == 13 == len(rows)
    assert counts["accepted"] == {
        teacher: sum(row["accepted"] for row in rows if row["teacher"] == teacher) for teacher in ("a", "b", "original")
    }


def test_cross_verify_refuses_samples_of_another_pool(tmp_path: Path) -> None:
    records = math_records()
    pool = save_records(tmp_path / "pool", records[:2])
    samples = save_samples(tmp_path / "a", records[2:4], [["3"], ["4"]])
    with pytest.raises(DistillError, match="samples of prompts that the pool does not have"):
        run_step(
            cross_verify,
            verify_settings(["a"]),
            tmp_path / "out/manifest.json",
            pool=pool,
            samples=[samples],
        )


def test_cross_verify_needs_the_samples_of_every_teacher(tmp_path: Path) -> None:
    pool = save_records(tmp_path / "pool", math_records()[:1])
    samples = save_samples(tmp_path / "a", math_records()[:1], [["3"]])
    with pytest.raises(DistillError, match=r"--samples are of \['a'\], but responses.teachers are \['a', 'b'\]"):
        run_step(
            cross_verify,
            verify_settings(["a", "b"]),
            tmp_path / "out/manifest.json",
            pool=pool,
            samples=[samples],
        )


def test_repeated_ids_keep_their_own_samples(tmp_path: Path) -> None:
    record = math_records()[0]
    rows = [record | {"responses": [{"text": text, "finish_reason": "stop", "tokens": 1}]} for text in "xy"]
    found = [*gather([record, record], {"a": rows}, keep_original=False)]
    assert [[item.text for item in candidates] for _, candidates in found] == [["x"], ["y"]]


def files_of(step: str) -> set[str]:
    """The files in a step's identity, relative to the project's root."""
    return {path.relative_to(ROOT).as_posix() for path in closure(f"scripts.{step}")}


def test_cross_verify_starts_without_the_curation_pipeline() -> None:
    """DataTrove takes a second to import, and an edit of a curation step must not rerun distillation."""
    files = files_of("distill.cross_verify")
    assert "scripts/curate/languages.py" in files and "scripts/curate/job.py" not in files


@pytest.mark.parametrize("step", ["distill.sample", "distill.judge", "evaluate.generate", "mix.build", "mix.encode"])
def test_an_edited_verifier_draws_and_judges_nothing_again(step: str) -> None:
    assert [file for file in files_of(step) if file.startswith("scripts/verify/")] == []


@pytest.mark.parametrize("step", ["sample", "judge", "grade"])
def test_a_step_reads_its_own_settings_alone(step: str) -> None:
    """Cross-verification alone reads others' settings: its recipe holds the whole response set."""
    found = {file for file in files_of(f"distill.{step}") if file.startswith("scripts/distill/settings/")}
    assert found == {f"scripts/distill/settings/{name}.py" for name in ("__init__", step)}


# --- The judge ------------------------------------------------------------------------------------------------------

DIGIT = {
    "model": "j",
    "template": "{prompt} {response}",
    "pattern": "([0-9])",
    "lowest": 0,
    "highest": 9,
    "sampling": {"temperature": 1.0, "max_tokens": 12},
    "thinking": False,
}


def test_the_judge_scores_every_candidate_or_gives_a_reason(model: Path, tmp_path: Path) -> None:
    """The judge has random weights: its text may or may not hold a digit, and one response is too long for it."""
    records = math_records()
    pool = save_records(tmp_path / "pool", records)
    texts = [["Answer: 3", "Answer: 4"], ["Answer: 17 " * 20, ""], *[["5", "6"]] * 4]
    samples = [save_samples(tmp_path / "a", records, texts)]
    common = {"judge": DIGIT, "teachers": ["a"], "keep_original": True, "prompts": None}
    out = tmp_path / "scores/manifest.json"
    run_step(judge, common | {"engine": ENGINE}, out, pool=pool, samples=samples, judge=model)
    rows, counts = read(out.parent / RECORDS), read_json(out)["counts"]
    assert [(row["id"], row["teacher"], row["sample"]) for row in rows] == [
        (record["id"], *which) for record in records for which in [("a", 0), ("a", 1), ("original", 0)]
    ]
    assert rows[3]["reason"] == "prompt too long for the context" and rows[3]["judgement"] is None
    for row in rows[:3] + rows[4:]:
        digits = [letter for letter in row["judgement"] if letter in "0123456789"]
        assert row["score"] == (int(digits[-1]) / 9 if digits else None)
        assert bool(row["reason"]) is (not digits)
    assert counts["in"] == counts["kept"] == 18 == counts["scored"] + sum(counts["without_score"].values())
    assert 0 < counts["scored"] < 17, "all or none: this judge tests nothing"
    verify = verify_settings(["a"], judge=DIGIT, accept={"correct": "any", "minimum_score": 0.5})
    verdicts = tmp_path / "verdicts/manifest.json"
    run_step(cross_verify, verify, verdicts, pool=pool, samples=samples, scores=out)
    found = read(verdicts.parent / RECORDS)
    assert [row["judge_score"] for row in found] == [row["score"] for row in rows]
    assert [row["judge_reason"] for row in found] == [row["reason"] for row in rows]
    assert ["score" in row["refused"] for row in found] == [(row["score"] or 0) < 0.5 for row in rows]

    others = save_records(tmp_path / "others", records[1:])
    samples = [save_samples(tmp_path / "b" / "a", records[1:], texts[1:])]
    with pytest.raises(DistillError, match="--scores are of other candidates"):
        run_step(cross_verify, verify, tmp_path / "x/manifest.json", pool=others, samples=samples, scores=out)
    with pytest.raises(DistillError, match="--scores are missing"):
        run_step(cross_verify, verify, tmp_path / "x/manifest.json", pool=others, samples=samples)


def test_a_judge_without_any_score_is_an_error_that_shows_its_text(model: Path, tmp_path: Path) -> None:
    pool = save_records(tmp_path / "pool", math_records())
    settings = {"judge": DIGIT | {"pattern": "(no such score)"}, "teachers": [], "keep_original": True}
    with pytest.raises(DistillError, match=r"no score of teacher could be read: .* the first judgement is '.+'"):
        run_step(judge, settings | {"prompts": None, "engine": ENGINE}, tmp_path / "out/manifest.json", pool=pool,
                 judge=model)  # fmt: skip


# --- Grading --------------------------------------------------------------------------------------------------------

BANDS = {"easy_from": 0.75, "hard_below": 0.25}


@pytest.mark.parametrize(
    ("samples", "passes", "k", "value"),
    [(4, 0, 4, 0.0), (4, 1, 1, 0.25), (4, 1, 2, 0.5), (4, 2, 2, 1 - 1 / 6), (4, 1, 4, 1.0), (10, 3, 5, 1 - 21 / 252)],
)
def test_pass_at_k_by_hand(samples: int, passes: int, k: int, value: float) -> None:
    """For example, with 3 of 10 samples right, C(7, 5) = 21 of the C(10, 5) = 252 choices of 5 have none of them."""
    assert grade.pass_at_k(samples, passes, k) == pytest.approx(value)


def test_pass_at_k_is_the_mean_over_all_choices() -> None:
    """The estimator is the share of the k-subsets that hold a pass, counted by hand for 6 samples."""
    from itertools import combinations

    verdicts = [1, 0, 0, 1, 0, 0]
    for k in range(1, 7):
        chosen = [max(subset) for subset in combinations(verdicts, k)]
        assert grade.pass_at_k(6, 2, k) == pytest.approx(sum(chosen) / len(chosen))


def test_pass_at_k_needs_k_samples() -> None:
    with pytest.raises(ValueError, match="pass@5 cannot be estimated from 4 samples"):
        grade.pass_at_k(4, 1, 5)


@pytest.mark.parametrize(
    ("rate", "band"), [(0.0, "hard"), (0.24, "hard"), (0.25, "medium"), (0.74, "medium"), (0.75, "easy"), (1.0, "easy")]
)
def test_bands(rate: float, band: str) -> None:
    assert grade.band(rate, Bands(**BANDS)) == band


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([True, False, False, True], (2, 4, 0.5, "medium", False)),
        ([True] * 4, (4, 4, 1.0, "easy", True)),
        ([False] * 4, (0, 4, 0.0, "hard", True)),
        ([True, None, False, None], (1, 2, 0.5, "medium", False)),  # unverifiable is neither right nor wrong
        ([True, None, None, None], (1, 1, 1.0, "easy", True)),
    ],
)
def test_grades_by_hand(verdicts: list[bool | None], expected: tuple) -> None:
    assert tuple((grade.grades(verdicts, Bands(**BANDS)) or {}).values()) == expected


def test_nothing_verified_gives_no_grade() -> None:
    assert grade.grades([None, None], Bands(**BANDS)) is None


GRADE = {"bands": BANDS, "samples": 4, "verify": {}}


def test_attempts_are_drawn_for_verifiable_prompts_alone(model: Path, tmp_path: Path) -> None:
    pool = save_records(tmp_path / "pool", odd_records())
    settings = {"responses": DRAW | {"samples": 4}, "engine": ENGINE, "only_verifiable": True}
    attempts = run_step(sample, settings, tmp_path / "attempts/manifest.json", pool=pool, teacher=model)
    counts, wanted = read_json(attempts)["counts"], odd_records()
    assert [row["id"] for row in read(attempts.parent / RECORDS)] == [wanted[place]["id"] for place in (0, 2, 4, 6, 7)]
    assert counts["dropped"] == {"not verifiable": 2, "prompt too long for the context": 1}
    assert counts["in"] == 8 == counts["kept"] + sum(counts["dropped"].values()) and counts["responses"] == 20
    assert {row["reason"] for row in read(attempts.parent / DROPPED)} == set(counts["dropped"])
    out = run_step(grade, GRADE, tmp_path / "graded/manifest.json", attempts=attempts)
    kept = read(out.parent / RECORDS)
    assert [row["id"] for row in kept] == [row["id"] for row in read(attempts.parent / RECORDS)]
    assert all(row["samples"] == 4 and row["pass_rate"] == row["passes"] / 4 for row in kept)


def test_grades_follow_from_the_attempts_and_other_bands_need_no_others(tmp_path: Path) -> None:
    """Targets are 3, 17, 10, 42, 15: right four times, three times, twice and never, and one without any answer."""
    records = math_records()[:5]
    texts = [["3"] * 4, ["17", "17", "5", "17"], ["10", "10", "9", "8"], ["1"] * 4, ["?"] * 4]
    attempts = save_samples(tmp_path / "attempts", records, [[f"Answer: {x}" for x in found] for found in texts])
    out = run_step(grade, GRADE, tmp_path / "graded/manifest.json", attempts=attempts)
    kept, counts = read(out.parent / RECORDS), read_json(out)["counts"]
    assert [(row["passes"], row["band"], row["degenerate"]) for row in kept] == [
        (4, "easy", True), (3, "easy", False), (2, "medium", False), (0, "hard", True), (0, "hard", True)
    ]  # fmt: skip
    assert set(kept[0]) == {*records[0], "passes", "samples", "pass_rate", "band", "degenerate"}
    assert counts["bands"] == {"math": {"easy": 2, "hard": 2, "medium": 1}}
    assert counts["degenerate"] == {"all right": 1, "all wrong": 2}
    # pass@1 is the mean rate; pass@2 is 1 - C(wrong, 2) / 6: 1, 1, 5/6, 0, 0
    assert counts["pass_at"] == pytest.approx({"1": 9 / 20, "2": 17 / 30, "4": 3 / 5})
    strict = GRADE | {"bands": {"easy_from": 1.0, "hard_below": 0.6}}
    again = run_step(grade, strict, tmp_path / "again/manifest.json", attempts=attempts)
    assert [row["band"] for row in read(again.parent / RECORDS)] == ["easy", "medium", "hard", "hard", "hard"]


def test_grading_nothing_is_an_error(model: Path, tmp_path: Path) -> None:
    chat = [record for record in odd_records() if record["source"] == "chat"]
    pool = save_records(tmp_path / "pool", chat)
    settings = {"responses": DRAW, "engine": ENGINE, "only_verifiable": True}
    with pytest.raises(DistillError, match=r"got no prompt: all 1 were dropped, {'not verifiable': 1}"):
        run_step(sample, settings, tmp_path / "attempts/manifest.json", pool=pool, teacher=model)
    broken = [record | {"answer": {"kind": "math", "spec": "{}"}} for record in math_records()[:2]]
    attempts = save_samples(tmp_path / "attempts", broken, [["Answer: 3"]] * 2)
    with pytest.raises(DistillError, match=r"no prompt of .* could be graded: {'no sample could be verified': 2}"):
        run_step(grade, GRADE, tmp_path / "graded/manifest.json", attempts=attempts)


def test_a_teacher_that_generates_nothing_is_an_error(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first token ends the turn, so every response is empty."""
    from scripts.generation.transformers_engine import TransformersEngine

    load = TransformersEngine.__init__

    def mute(engine: Any, *arguments: Any) -> None:
        load(engine, *arguments)
        engine.stops = frozenset(range(len(engine.tokenizer)))

    monkeypatch.setattr(TransformersEngine, "__init__", mute)
    pool = save_records(tmp_path / "pool", math_records())
    out = tmp_path / "out/manifest.json"
    with pytest.raises(
        DistillError, match=r"teacher generated nothing: all of its 12 responses are empty \({'stop': 12}\)"
    ):
        run_step(sample, {"responses": DRAW, "engine": ENGINE}, out, pool=pool, teacher=model)
    assert not out.exists()
