"""Adapters: raw rows of every usual shape become records, by configuration alone."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.sources.adapters import RowError, adapt
from scripts.sources.rows import read_rows
from scripts.sources.settings import Adapter

CORPORA = Path(os.environ.get("NEBULA_CORPORA", Path(__file__).parents[3] / "shared" / "corpora"))
USER, ASSISTANT = {"role": "user", "content": "q"}, {"role": "assistant", "content": "r"}


def mapped(row: dict[str, Any], **settings: Any) -> dict[str, Any]:
    return dict(adapt(row, Adapter(**settings), "s", "math"))


@pytest.mark.parametrize(
    ("row", "settings"),
    [
        ({"messages": [USER, ASSISTANT]}, {"shape": "messages", "prompt": "messages"}),
        ({"messages": [USER], "out": "r"}, {"shape": "messages", "prompt": "messages", "response": "out"}),
        (
            {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "r"}]},
            {"shape": "sharegpt", "prompt": "conversations"},
        ),
        ({"m": [{"role": "system", "content": " \n"}, USER, ASSISTANT]}, {"shape": "messages", "prompt": "m"}),
        (
            {
                "c": [
                    {"from": "system", "value": ""},
                    {"from": "human", "value": "q"},
                    {"from": "gpt", "value": "r"},
                ]
            },
            {"shape": "sharegpt", "prompt": "c"},
        ),
        ({"p": "q", "r": "r"}, {"shape": "pair", "prompt": "p", "response": "r"}),
        ({"i": "q", "x": "", "o": "r"}, {"shape": "instruction", "prompt": "i", "input": "x", "response": "o"}),
        (
            {"d": {"p": "q"}, "r": "r<|endoftext|>"},
            {"shape": "pair", "prompt": "d.p", "response": "r", "strip_suffix": "<|endoftext|>"},
        ),
        ({"p": '[{"content": "q"}]', "r": "r"}, {"shape": "pair", "prompt": "p.0.content", "response": "r"}),
    ],
)
def test_shapes(row: dict[str, Any], settings: dict[str, Any]) -> None:
    assert mapped(row, **settings)["messages"] == [USER, ASSISTANT]


def test_only_an_empty_system_turn_at_the_start_is_left_out() -> None:
    stated, empty = {"role": "system", "content": "be brief"}, {"role": "system", "content": ""}
    for messages in ([stated, USER, ASSISTANT], [USER, empty, ASSISTANT], [{**USER, "content": ""}, ASSISTANT]):
        assert mapped({"m": messages}, shape="messages", prompt="m")["messages"] == messages


def test_instruction_with_input_is_one_message() -> None:
    row = {"i": "Add.", "x": "1, 2", "o": "3"}
    messages = mapped(row, shape="instruction", prompt="i", input="x", response="o")["messages"]
    assert messages[0]["content"] == "Add.\n\n1, 2"


@pytest.mark.parametrize(
    ("row", "settings", "answer"),
    [
        (
            {"p": "q", "g": "so\n#### 1,072"},
            {"answer": "math", "target": "g", "target_pattern": r"#### (.+)"},
            {"target": "1,072"},
        ),
        ({"p": "q", "g": {"t": 18}}, {"answer": "math", "target": "g.t"}, {"target": "18"}),
        (
            {"p": "q", "t": ["assert f(1) == 2"], "e": "f"},
            {"answer": "code", "tests": "t", "entry_point": "e"},
            {"tests": ["assert f(1) == 2"], "entry_point": "f"},
        ),
        (
            {"p": "q", "t": "def check(c):\n    assert c(1)", "e": "f"},
            {"answer": "code", "tests": "t", "entry_point": "e"},
            {"tests": ["def check(c):\n    assert c(1)\ncheck(f)"], "entry_point": "f"},
        ),
        (
            {"p": "q", "ids": ["a:b", "c:d"], "k": [{"n": 0, "m": None}, None]},
            {"answer": "instructions", "instruction_ids": "ids", "instruction_kwargs": "k"},
            {"instruction_id_list": ["a:b", "c:d"], "kwargs": [{"n": 0}, {}]},
        ),
    ],
)
def test_answers(row: dict[str, Any], settings: dict[str, Any], answer: dict[str, Any]) -> None:
    found = mapped(row, shape="pair", prompt="p", **settings)["answer"]
    assert found["kind"] == settings["answer"] and json.loads(found["spec"]) == answer


@pytest.mark.parametrize(
    ("row", "settings", "reason"),
    [
        ({"p": None}, {"shape": "pair", "prompt": "p"}, "p-missing"),
        ({}, {"shape": "pair", "prompt": "p.q"}, "p.q-missing"),
        ({"p": 3}, {"shape": "pair", "prompt": "p"}, "p-no-text"),
        ({"p": "q", "r": None}, {"shape": "pair", "prompt": "p", "response": "r"}, "r-missing"),
        ({"m": "text"}, {"shape": "messages", "prompt": "m"}, "messages-no-list"),
        ({"m": []}, {"shape": "messages", "prompt": "m"}, "no-messages"),
        ({"m": [{"role": "system", "content": ""}]}, {"shape": "messages", "prompt": "m"}, "no-messages"),
        ({"m": [{"role": "user"}]}, {"shape": "messages", "prompt": "m"}, "malformed-message"),
        ({"m": [{"from": "bot", "value": "x"}]}, {"shape": "sharegpt", "prompt": "m"}, "unknown-role"),
        (
            {"p": "q", "g": "none"},
            {"shape": "pair", "prompt": "p", "answer": "math", "target": "g", "target_pattern": "#### (.+)"},
            "no-answer-in-target",
        ),
        ({"p": "q", "t": []}, {"shape": "pair", "prompt": "p", "answer": "code", "tests": "t"}, "malformed-tests"),
    ],
)
def test_what_cannot_be_mapped_says_why(row: dict[str, Any], settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(RowError, match=f"^{reason}$"):
        mapped(row, **settings)


SHAPES = re.findall(
    r"^\| `(\{.*?\})`.*? \| `(\{shape.*?\})` \|$",
    (Path(__file__).resolve().parents[2] / "docs" / "data.md").read_text(),
    re.MULTILINE,
)


@pytest.mark.parametrize(("row", "adapter"), SHAPES)
def test_every_shape_of_the_data_page_is_read_as_it_says(row: str, adapter: str) -> None:
    settings = yaml.safe_load(adapter)
    record = mapped(json.loads(row), **settings)
    assert record["messages"][0]["role"] == "user"
    assert (record["messages"][-1]["role"] == "assistant") == ("response" in settings or "answer" not in settings)
    assert record["answer"]["kind"] == settings.get("answer", "none")


def test_the_data_page_shows_every_shape_of_a_conversation() -> None:
    shown = {yaml.safe_load(adapter)["shape"] for _, adapter in SHAPES}
    assert shown == {"instruction", "pair", "messages", "sharegpt"} and len(SHAPES) >= 9


@pytest.mark.parametrize(
    ("solution", "target"),
    [
        (r"First \boxed{1}, so it is $\boxed{\frac{\sqrt{2}}{3}}$.", r"\frac{\sqrt{2}}{3}"),
        ("So\nit is \\boxed{ 42 }\nindeed.", "42"),
        ("Which was to be proved.", None),
        (r"Cut off: \boxed{\frac{1}{2}", None),
    ],
)
def test_the_papers_worked_solutions_and_proofs(solution: str, target: str | None) -> None:
    scale = yaml.safe_load((Path(__file__).resolve().parents[2] / "scales" / "paper.yaml").read_text())
    row = {"messages": [USER, ASSISTANT], "solution": solution}
    answer = mapped(row, **scale["sources"]["numinamath-cot"]["adapter"])["answer"]
    assert answer["kind"] == ("none" if target is None else "math")
    assert json.loads(answer["spec"]) == ({} if target is None else {"target": target})


def test_rows_without_a_match_may_be_kept_only_where_there_is_a_pattern() -> None:
    with pytest.raises(ValueError, match="give one"):
        Adapter(shape="pair", answer="math", target="a", unanswered="keep")


REAL = {
    "gsm8k/train.jsonl": (7473, {"shape": "pair", "prompt": "question", "response": "answer", "answer": "math",
                                 "target": "answer", "target_pattern": r"#### (.+)"}),
    "math/train.parquet": (12000, {"shape": "messages", "prompt": "prompt", "answer": "math",
                                   "target": "reward_model.ground_truth", "meta": ["id", "level"]}),
    "code_alpaca/new_codealpaca.json": (4535, {"shape": "instruction", "prompt": "instruction", "input": "input",
                                               "response": "output"}),
    "human_eval/HumanEval.jsonl.gz": (164, {"shape": "pair", "prompt": "prompt", "answer": "code", "tests": "test",
                                            "entry_point": "entry_point"}),
    "shadow_humaneval/python.jsonl": (20, {"shape": "pair", "prompt": "content", "answer": "code", "tests": "test",
                                           "entry_point": "labels.entry_point"}),
    "mbpp/code_eval_mbpp.jsonl": (20, {"shape": "pair", "prompt": "content", "answer": "code", "tests": "test_list"}),
    "ifeval/input_data.jsonl": (541, {"shape": "pair", "prompt": "prompt", "answer": "instructions",
                                      "instruction_ids": "instruction_id_list", "instruction_kwargs": "kwargs"}),
    "t0/wiki_qa_Jeopardy_style.jsonl": (8, {"shape": "pair", "prompt": "prompt", "response": "completion",
                                            "strip_suffix": "<|endoftext|>"}),
}  # fmt: skip


@pytest.mark.parametrize("name", REAL)
def test_real_files_map_row_for_row(name: str) -> None:
    path = CORPORA / name
    if not path.is_file():
        pytest.skip(f"{path} is not here (set NEBULA_CORPORA)")
    rows, settings = REAL[name]
    mapped_rows = [mapped(row, **settings) for row in read_rows(path)]
    assert len(mapped_rows) == rows
    assert all(row["messages"][0]["content"] for row in mapped_rows)
    assert not any(row["messages"][-1]["content"].endswith("<|endoftext|>") for row in mapped_rows)
