"""Scores by hand: the mean over samples, its error, unverifiable responses, thinking, and the order of rows."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scripts.common.artifacts import read_json, run_path, sha256_file, write_json
from scripts.common.fingerprint import ROOT
from scripts.evaluate import score
from scripts.evaluate.generate import GENERATION
from scripts.evaluate.score import ScoreError, by_item, mean_and_error
from tests.common.nano import run_step

SUM = {"kind": "math", "spec": '{"target": "3"}'}
NO_COMMA = {
    "kind": "instructions",
    "spec": '{"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}',
}


@pytest.fixture(autouse=True)
def _scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def save(folder: Path, name: str, items: list[tuple[dict[str, Any] | None, list[str]]]) -> Path:
    """A file of generations as `generate` writes it: one item per (answer, responses)."""
    rows = [
        {
            "id": f"{place:016x}",
            "sample": number,
            "prompt": [{"role": "user", "content": "1 + 2?"}],
            "response": text,
            "finish_reason": "length" if text.endswith("...") else "stop",
            "tokens": 4,
            "thinking": False,
            "answer": answer,
        }
        for place, (answer, responses) in enumerate(items)
        for number, text in enumerate(responses)
    ]
    path = folder / f"{name}.parquet"
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=GENERATION), path)
    write_json(run_path(path), {"output": sha256_file(path)})
    return path


def run(folder: Path, metrics: dict[str, str], paths: list[Path], **verify: Any) -> dict[str, dict[str, Any]]:
    settings = {"model": "m", "benchmarks": metrics, "verify": verify}
    outs = [folder / "scores" / f"{name}.json" for name in metrics]
    run_step(score, settings, outs, generations=paths)
    return {out.stem: read_json(out) for out in outs}


def scored(
    folder: Path, items: list[tuple[dict[str, Any] | None, list[str]]], metric: str = "pass@1"
) -> dict[str, Any]:
    return run(folder, {"sums": metric}, [save(folder, "sums", items)])["sums"]


def test_mean_and_error_by_hand() -> None:
    """Means 1, 0.5, 0, 0.5: mean 0.5, sum of squares 0.5, variance 0.5 / 3, error sqrt(0.1667 / 4) = 0.2041."""
    assert mean_and_error([1.0, 0.5, 0.0, 0.5]) == (0.5, pytest.approx(math.sqrt(0.5 / 3 / 4)))
    assert mean_and_error([0.25]) == (0.25, None)


def test_score_by_hand(tmp_path: Path) -> None:
    result = scored(
        tmp_path, [(SUM, ["Answer: 3", "Answer: 3"]), (SUM, ["Answer: 3", "Answer: 4..."]), (SUM, ["5", "6"])]
    )
    assert (result["value"], result["n"], result["samples_per_prompt"]) == (0.5, 3, 2)
    assert result["stderr"] == pytest.approx(math.sqrt(0.5 / 2 / 3))
    assert (result["metric"], result["model"], result["benchmark"]) == ("pass@1", "m", "sums")
    assert result["unverifiable"] == {} and result["truncated"] == 1 and result["tokens"] == 4
    assert [item["value"] for item in result["items"]] == [1.0, 0.5, 0.0]
    assert [[one["correct"] for one in item["verdicts"]] for item in result["items"]] == [
        [True, True],
        [True, False],
        [False, False],
    ]


@pytest.mark.parametrize("samples", [1, 2, 8])
def test_pass_at_1_does_not_depend_on_the_number_of_samples(tmp_path: Path, samples: int) -> None:
    """The best of n would rise with n; the mean does not."""
    result = scored(tmp_path, [(SUM, ["Answer: 3"] * samples), (SUM, ["Answer: 4"] * samples)])
    assert result["value"] == 0.5 and result["samples_per_prompt"] == samples
    assert result["stderr"] == pytest.approx(0.5)  # clustered by prompt: two prompts, whatever their samples


def test_one_right_of_four_is_a_quarter(tmp_path: Path) -> None:
    assert scored(tmp_path, [(SUM, ["Answer: 3", "4", "5", "6"])])["value"] == 0.25


def test_thinking_is_not_the_answer(tmp_path: Path) -> None:
    result = scored(
        tmp_path,
        [
            (SUM, ["<think>\nAnswer: 3\n</think>\n\nAnswer: 4"]),
            (SUM, ["<think>\nAnswer: 4\n</think>\n\nAnswer: 3"]),
            (SUM, ["<think>\nAnswer: 3"]),  # cut off before an answer
        ],
    )
    assert [item["value"] for item in result["items"]] == [0.0, 1.0, 0.0]


def test_null_and_unreadable_answers_leave_the_other_rows_in_place(tmp_path: Path) -> None:
    broken = {"kind": "math", "spec": "{"}
    unknown = {"kind": "riddle", "spec": "{}"}
    none = {"kind": "none", "spec": "{}"}
    right = ["Answer: 3"]
    answers = [SUM, None, SUM, broken, none, unknown, SUM]
    result = scored(tmp_path, [(answer, right) for answer in answers])
    assert [item["value"] for item in result["items"]] == [1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    assert [item["id"] for item in result["items"]] == [f"{place:016x}" for place in range(7)]
    assert result["value"] == pytest.approx(3 / 7) and result["n"] == 7
    assert result["unverifiable"] == {"bad spec": 2, "no verifier": 2}


def test_several_benchmarks_in_one_job(tmp_path: Path) -> None:
    sums = save(tmp_path, "sums", [(SUM, ["3"])])
    style = save(tmp_path, "style", [(NO_COMMA, ["one two", "one, two"]), (NO_COMMA, ["a", "b"])])
    result = run(tmp_path, {"sums": "pass@1", "style": "strict-prompt"}, [style, sums])
    assert result["sums"]["value"] == 1.0
    assert result["style"]["value"] == 0.75 and result["style"]["metric"] == "strict-prompt"


def test_strict_prompt_scores_instructions_alone(tmp_path: Path) -> None:
    with pytest.raises(ScoreError, match=r"strict-prompt scores instructions, but items are \['math'\]"):
        scored(tmp_path, [(SUM, ["3"])], "strict-prompt")
    with pytest.raises(ScoreError, match=r"needs verify.instructions_mode: strict"):
        path = save(tmp_path, "style", [(NO_COMMA, ["one"])])
        run(tmp_path, {"style": "strict-prompt"}, [path], instructions_mode="loose")


def test_items_in_several_row_groups_keep_their_rows(tmp_path: Path) -> None:
    """150 items with two samples each are five row groups; every third item is wrong."""
    result = scored(tmp_path, [(SUM, ["Answer: 4" if place % 3 == 2 else "Answer: 3"] * 2) for place in range(150)])
    assert result["n"] == 150 and result["value"] == pytest.approx(2 / 3)
    assert [item["value"] for item in result["items"]] == [1.0, 1.0, 0.0] * 50


def test_samples_of_an_item_share_one_answer_in_memory(tmp_path: Path) -> None:
    rows = score.read(save(tmp_path, "sums", [(SUM, ["3"] * 3), (NO_COMMA, ["a"] * 3)]))
    assert len({id(row["answer"]["spec"]) for row in rows}) == 2


def test_no_generation_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ScoreError, match="holds no generation"):
        scored(tmp_path, [])


def test_generations_of_other_benchmarks_than_the_recipe_names_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ScoreError, match=r"--generations are of \['sums'\], the recipe scores \['code'\]"):
        run(tmp_path, {"code": "pass@1"}, [save(tmp_path, "sums", [(SUM, ["3"])])])


def rows(*pairs: tuple[str, int]) -> list[dict[str, Any]]:
    return [{"id": name, "sample": sample} for name, sample in pairs]


def test_items_by_sample_number_even_with_repeated_ids() -> None:
    groups = by_item(rows(("a", 0), ("a", 1), ("a", 0), ("a", 1), ("b", 0), ("b", 1)), "x")
    assert [[row["id"] for row in group] for group in groups] == [["a", "a"], ["a", "a"], ["b", "b"]]


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (rows(("a", 1)), "sample 1 of a is out of place"),
        (rows(("a", 0), ("b", 1)), "sample 1 of b is out of place"),
        (rows(("a", 0), ("a", 2)), "sample 2 of a is out of place"),
        (rows(("a", 0), ("a", 1), ("b", 0)), r"items have \[1, 2\] samples"),
    ],
)
def test_rows_out_of_place_are_refused(result: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ScoreError, match=message):
        by_item(result, "x")


def test_scoring_imports_no_torch() -> None:
    """A score job starts in half a second; importing torch would take three times as long."""
    code = (
        "import sys, scripts.evaluate.score; print([m for m in ('torch', 'transformers', 'sympy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_score_again_gives_the_same_bytes(tmp_path: Path) -> None:
    path = save(tmp_path, "sums", [(SUM, ["3", "4"]), (None, ["3", "4"])])
    first = json.dumps(run(tmp_path / "a", {"sums": "pass@1"}, [path]))
    assert first == json.dumps(run(tmp_path / "b", {"sums": "pass@1"}, [path]))
