"""The command that says whether records would pass a pool's filters."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from curation import dropped, job

from scripts.common.fingerprint import ROOT, closure
from scripts.curate import length
from scripts.curate.check import check, check_file, filters_of, pool_of
from scripts.curate.pools import STEPS, Pool, module_of
from scripts.workflow.config import ConfigError, read

GOOD = {"prompt": "What does the owl eat in the winter?", "response": "It eats small animals near the house."}


@pytest.fixture(scope="module")
def pool() -> Pool:
    return read("small").pools["sft"]


def verdict(pool: Pool, line: Any) -> dict[str, Any]:
    """What is said about one line, a record or the line's own bytes."""
    (found,) = check([line if isinstance(line, bytes) else json.dumps(line).encode()], pool)
    return found


@pytest.mark.parametrize(
    ("row", "step", "reason", "value"),
    [
        ({"prompt": "q"}, "format", "ends-with-user", {"matched": "user"}),
        ({"prompt": "q", "response": "a <|im_end|>"}, "format", "control-token", {"matched": "<|im_end|>"}),
        ({"prompt": "q", "response": "a \ufffd"}, "format", "damaged-encoding", {"matched": "U+FFFD"}),
        ({"prompt": "Hi?", "response": "b"}, None, None, None),
        ({"prompt": "?", "response": "b"}, "length", "too-short", {"words": 2}),
        (GOOD | {"response": "I'm sorry, but I can't help with that."}, "refusal", "refusal",
         {"matched": "I'm sorry, but I can't help"}),
        (GOOD | {"response": "Ask ann@firm.org about it."}, "pii", "email", {"matched": "ann@firm.org"}),
        (GOOD | {"response": "```python\nx = 1"}, "truncation", "open-code-fence", {"ending": "```python\nx = 1"}),
        (GOOD | {"response": "!" * 4000}, "repetition", "repeated_characters", {"share": 1.0}),
    ],
)  # fmt: skip
def test_the_first_step_that_drops_a_record_is_named_with_the_value_that_decided(
    pool: Pool, row: dict[str, Any], step: str | None, reason: str | None, value: dict[str, Any] | None
) -> None:
    found = verdict(pool, row)
    assert (found["kept"], found["step"], found["reason"], found["value"]) == (step is None, step, reason, value)
    assert found["not_run"] == ["exact-dedup", "near-dedup", "decontaminate", "classify"]


def test_the_language_is_named_with_its_probability(pool: Pool) -> None:
    found = verdict(pool, GOOD | {"response": "Sie frisst kleine Tiere, die in der Nähe des Hauses leben."})
    assert (found["step"], found["reason"], found["value"]["language"]) == ("language", "response-language", "de")
    assert found["value"]["probability"] > 0.9 > 0.1 > found["value"]["kept_probability"]


def test_messages_and_domain_are_read(pool: Pool) -> None:
    turns = [("user", GOOD["prompt"]), ("assistant", GOOD["response"])]
    as_objects = [{"role": role, "content": content} for role, content in turns]
    for messages in (as_objects, turns):
        assert verdict(pool, {"messages": messages, "answer": {"kind": "none", "spec": {}}})["kept"]
    german = GOOD | {"response": "Die Funktion gibt die Summe der beiden Zahlen zurück, die der Benutzer eingibt."}
    assert verdict(pool, german | {"domain": "math"})["step"] == "language"
    assert verdict(pool, german | {"domain": "code"})["kept"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "not JSON in UTF-8"),
        (b"{", "not JSON in UTF-8"),
        (b"\xff", "not JSON in UTF-8"),
        (b"[" * 100_000, "not JSON in UTF-8"),
        (b"[1]", "not an object"),
        (b"{}", "give `prompt` "),
        (b'{"prompt": "q", "messages": []}', "one of the two"),
        (b'{"prompt": 1}', "content of message 0 is int, not a text"),
        (b'{"messages": "q"}', "messages is not a list"),
        (b'{"messages": ["q"]}', "message 0 is not an object with role and content"),
        (b'{"prompt": "q", "domain": "maths"}', "domain 'maths' is none of math, code"),
        (b'{"prompt": "\\ud800"}', "half of a surrogate pair"),
    ],
)
def test_a_line_that_is_not_a_record_has_its_reason(pool: Pool, line: bytes, reason: str) -> None:
    found = verdict(pool, line)
    assert not found["kept"] and found["step"] is None
    assert found["reason"].startswith("bad line: ") and reason in found["reason"]


def test_null_texts_are_for_the_step_format(pool: Pool) -> None:
    assert verdict(pool, {"prompt": None, "response": "a"})["reason"] == "empty-message"
    assert verdict(pool, {"messages": []})["reason"] == "no-messages"


def test_order_and_number_of_lines_are_kept(pool: Pool, tmp_path: Path) -> None:
    rows = [json.dumps(GOOD), "", "not JSON", json.dumps({"prompt": "q"}), json.dumps(GOOD | {"note": "a\u2028b"})]
    (tmp_path / "in.jsonl").write_bytes("\ufeff".encode() + "\r\n".join(rows).encode())
    counts = check_file(tmp_path / "in.jsonl", tmp_path / "out.jsonl", pool)
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().split("\n")[:-1]]
    assert [row["kept"] for row in found] == [True, False, False, False, True]
    assert counts == {"kept": 2, "bad line": 2, "format: ends-with-user": 1}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]


def test_the_pools_own_settings_decide() -> None:
    config = read("small")
    assert verdict(config.pools["rl"], {"prompt": "How many owls are 3 owls and 4 owls?"})["kept"]
    assert verdict(config.pools["rl"], GOOD)["reason"] == "ends-with-assistant"
    steps = [item for item in config.pools["sft"].steps if item.step != "length"]
    short = config.pools["sft"].model_copy(update={"steps": tuple(steps)})
    assert verdict(short, {"prompt": "?", "response": "b"})["kept"]


def test_an_unknown_pool_is_named_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="--pool: 'stf' is not a pool of the scale small; did you mean sft"):
        pool_of(read("small"), "stf")


def test_the_command(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text(json.dumps(GOOD) + "\n" + json.dumps({"prompt": "q"}) + "\n")
    command = [sys.executable, "-m", "scripts.curate.check", str(tmp_path / "in.jsonl"), str(tmp_path / "out.jsonl")]
    done = subprocess.run([*command, "--scale", "small", "--pool", "sft"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "1 kept" in done.stderr and "1 format: ends-with-user" in done.stderr
    assert "not run, since they do not judge one record alone: exact-dedup, near-dedup" in done.stderr
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 2
    bad = subprocess.run([*command, "--scale", "smal", "--pool", "sft"], cwd=ROOT, capture_output=True, text=True)
    assert bad.returncode == 1 and "scale: 'smal' has no file scales/smal.yaml" in bad.stderr


def test_every_step_is_run_or_named() -> None:
    compared = {"exact-dedup", "near-dedup", "decontaminate", "classify"}
    for scale in ("tiny", "small", "paper"):
        for pool in read(scale).pools.values():
            filters, others = filters_of(pool)
            assert set(others) <= compared
            assert [item.step for item in filters] == [item.step for item in pool.steps if item.step not in compared]


def test_the_command_decides_as_the_step_does(tmp_path: Path) -> None:
    """The same record through `Job.filter`, as the step's `main` calls it: the same reason and the same value."""
    rows = [{"messages": [{"role": "user", "content": "w " * 9000}], "domain": "math", "source": "a", "id": "0" * 16}]
    settings = next(item for item in read("small").pools["rl"].steps if item.step == "length")
    work = job(tmp_path, "length", rows)
    work.filter(length.FILTER(settings), length.TEXT, hit=length.HIT)
    found = verdict(Pool(sources=("a",), steps=(settings,)), {"prompt": "w " * 9000})
    (row,) = dropped(work)
    assert (row["reason"], row["words"]) == (found["reason"], found["value"]["words"]) == ("too-long", 9000)


@pytest.mark.parametrize("step", STEPS)
def test_no_step_depends_on_the_command_or_the_workflow(step: str) -> None:
    """`check` alone may import the workflow: a step that does would change with every scale."""
    files = {path.relative_to(ROOT).as_posix() for path in closure(f"scripts.curate.{module_of(step)}")}
    assert "scripts/curate/check.py" not in files and not any(path.startswith("scripts/workflow/") for path in files)
