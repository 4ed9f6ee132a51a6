"""Answers, thinking, the command, and what importing costs."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from verifiers import choice, code, math

from scripts.verify import (
    Answer,
    AnswerError,
    VerifierPool,
    VerifySettings,
    dispatch,
    verify,
    verify_many,
)


def test_an_answer_in_the_thinking_is_no_answer() -> None:
    assert verify("<think>\\boxed{18}</think> I do not know.", math("18")).correct is False
    assert verify("<think>\\boxed{18}", math("18")).correct is False
    assert verify("<think>The answer is B</think>", choice("B")).correct is False


def test_a_spec_may_be_json_text_as_records_hold_it() -> None:
    assert Answer.from_json("math", '{"target": "18"}') == Answer("math", {"target": "18"})
    assert Answer.from_json("none", "") == Answer("none", {})


@pytest.mark.parametrize(
    ("kind", "spec"), [("maths", {}), (None, {}), ("math", "{"), ("math", "[1]"), ("math", None), ("math", 3)]
)
def test_an_unreadable_answer_is_an_error_with_words(kind: object, spec: object) -> None:
    with pytest.raises(AnswerError, match="answer"):
        Answer.from_json(kind, spec)


@pytest.mark.parametrize(
    "answer",
    [
        Answer("math", {}),
        Answer("math", {"target": ""}),
        Answer("math", {"target": ["18"]}),
        Answer("math", {"target": True}),
        Answer("math", {"target": float("nan")}),
        Answer("math", {"target": float("inf")}),
        Answer("choice", {"target": "AB"}),
        Answer("choice", {"target": "E", "options": ["a", "b"]}),
        Answer("code", {}),
        Answer("code", {"tests": []}),
        Answer("code", {"tests": 5}),
        Answer("code", {"tests": ["assert f("]}),
        Answer("code", {"tests": [{"input": "1"}]}),
        Answer("code", {"tests": [{"input": 1, "output": "1"}]}),
        Answer("code", {"tests": [{"input": "\ud800", "output": "1"}]}),
        Answer("code", {"tests": ["assert f(1) == 1  # \ud800"]}),
        Answer("instructions", {"instruction_id_list": ["punctuation:no_comma"], "kwargs": []}),
        Answer("instructions", {"instruction_id_list": ["no:such"], "kwargs": [{}]}),
        Answer("instructions", {"instruction_id_list": [["punctuation:no_comma"]], "kwargs": [{}]}),
        Answer("instructions", {"instruction_id_list": ["keywords:existence"], "kwargs": [{"keywords": ["("]}]}),
        Answer("instructions", {"instruction_id_list": ["length_constraints:number_words"], "kwargs": [{}]}),
    ],
)
def test_a_bad_spec_is_unverifiable(pool: VerifierPool, answer: Answer) -> None:
    verdict = pool.verify("\\boxed{18} B", answer)
    assert verdict.correct is None
    assert verdict.reason.startswith("bad spec: ")


def test_a_spec_that_cannot_be_sent_to_a_worker_costs_its_own_line_only(pool: VerifierPool) -> None:
    deep: list[object] = []
    for _ in range(2000):
        deep = [deep]
    good = code("assert f() == 1")
    program = "def f(): return 1"
    bad = Answer("code", {"tests": ["assert f() == 1"], "deep": deep})
    verdicts = pool.verify_many([(program, good), (program, bad), (program, good)])
    assert [verdict.correct for verdict in verdicts] == [True, None, True]
    assert verdicts[1].reason == "bad spec: it cannot be sent to a worker: RecursionError"
    assert pool.verify(program, bad).correct is None


@pytest.mark.parametrize(
    ("target", "written"), [(18, "18"), (18.0, "18"), (1e-7, "0.0000001"), (2.5e20, "25" + "0" * 19)]
)
def test_a_target_may_be_a_json_number(target: float, written: str) -> None:
    assert verify(f"\\boxed{{{written}}}", Answer("math", {"target": target})).correct is True


def test_importing_loads_no_heavy_library() -> None:
    program = "import sys, scripts.verify; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = set(
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    )
    assert "pydantic" in loaded
    assert loaded.isdisjoint({"torch", "transformers", "sympy", "lm_eval", "nltk", "math_verify", "pyarrow", "numpy"})


def test_limits_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="code_wall_seconds"):
        VerifySettings(code_wall_seconds=1.0, code_cpu_seconds=2)
    with pytest.raises(ValueError, match="code_isolation"):
        VerifySettings.model_validate({"code_isolation": "off"})


LINES = [
    b'{"response": "\\\\boxed{18}", "answer": {"kind": "math", "spec": {"target": "18"}}, "id": 7}',
    b'{"response": "The answer is (B).", "answer": {"kind": "choice", "spec": "{\\"target\\": \\"B\\"}"}}',
    b'{"response": "\\\\boxed{17}", "answer": {"kind": "math", "spec": {"target": "18"}}}',
    b"",
    b"not json",
    b"\xff\xfe",
    b"[1, 2]",
    b'{"response": null, "answer": {"kind": "math", "spec": {"target": "18"}}}',
    b'{"response": "x"}',
    b'{"response": "x", "answer": {"kind": "poetry", "spec": {}}}',
    b'{"response": "x", "answer": {"kind": "none"}}',
    b"[" * 100_000,
    b'{"response": "\\ud800 \\u2028", "answer": {"kind": "choice", "spec": {"target": "A"}}}',
    b'{"response": "' + b"a" * 2_000_000 + b' #### 18", "answer": {"kind": "math", "spec": {"target": "18"}}}',
]
EXPECTED = [True, True, False, None, None, None, None, None, None, None, None, None, False, True]


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_the_command_keeps_every_line_in_its_place(tmp_path: Path, end: bytes) -> None:
    (tmp_path / "in.jsonl").write_bytes(b"\n".join(LINES) + end)
    command = [sys.executable, "-m", "scripts.verify", "in.jsonl", "out.jsonl", "--workers", "1"]
    root = Path(__file__).parents[2]
    done = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(root)}, capture_output=True, text=True, check=True
    )
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().split("\n")[:-1]]
    assert [row["correct"] for row in rows] == EXPECTED
    assert all(row["reason"] for row in rows)
    assert rows[0]["id"] == 7
    assert rows[0]["answer"] == {"kind": "math", "spec": {"target": "18"}}
    assert "null  bad line" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]


HOSTILE = [
    "\\boxed{" * 20_000,
    "\\boxed{}" * 20_000,
    "{" * 100_000 + "\\boxed{18}",
    "<think>" * 20_000 + "</think>" + "<think>" * 20_000,
    "</think>" + "<think>" * 20_000,
    "<think></think>" * 10_000,
    "answer" + " " * 100_000 + "x",
    "answer " * 20_000,
    "option" + " " * 100_000 + "x",
    "\\boxed{option" + " " * 100_000 + "x}",
    "so" + ", " * 50_000 + "x",
    "B is correct. " * 10_000,
    "B) " * 30_000,
    "I choose " * 20_000,
    "\\boxed{1} " * 20_000,
    "\u7b54\u6848" * 50_000,
    "Answer: 1" + " " * 100_000 + "|",
    "answer: " * 20_000,
    "Answer: " + "word " * 30_000,
    "Answer: " + "1 word " * 30_000,
    "Answer:" + "\n" * 100_000,
    "A or " * 30_000,
    "Answer: " + "A or " * 30_000,
    "*" * 100_000 + "A",
    "$" * 100_000,
    "\\boxed{" + "(" * 190 + "}",
    "\\boxed{" + "9" * 190 + "^" + "9" * 5 + "}",
    "\\boxed{" + "\\text{a" * 25 + "}",
    "####" * 30_000,
]


@pytest.mark.parametrize("index", range(len(HOSTILE)))
def test_what_runs_without_a_time_limit_is_linear(index: int) -> None:
    """Texts on which a careless pattern or loop takes minutes; all of these take milliseconds."""
    start = time.process_time()
    for answer in (math("18"), math("x^2"), choice("A"), choice("A", options=["one", "two"]), Answer("none", {})):
        dispatch.quick(HOSTILE[index], answer, VerifySettings())
    assert time.process_time() - start < 2.0


def test_reasons_are_printable(pool: VerifierPool) -> None:
    """They go into JSON, Parquet and terminals, and hold words of the program's choice."""
    program = "def f():\n    raise ValueError('\\ud800 \\x1b[2J\\n\\0' + 'x' * 10_000)"
    verdict = pool.verify(program, Answer("code", {"tests": ["assert f() == 1"]}))
    assert verdict.correct is False
    assert verdict.reason.isprintable()
    assert len(verdict.reason) <= 500


def test_no_items_give_no_verdicts() -> None:
    assert verify_many([], workers=2) == []
