"""Sources of the paper's scale: rows made by hand in the published schemas, to right and wrong verdicts."""

from __future__ import annotations

import base64
import json
import pickle
import zlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from scripts.sources.adapters import adapt
from scripts.sources.fetch import open_source
from scripts.sources.rows import SourceError, read_rows
from scripts.sources.settings import HubSource
from scripts.sources.values import RowError
from scripts.verify import Answer, Verdict, VerifierPool
from scripts.verify.dispatch import wall_limit
from scripts.verify.settings import VerifySettings
from scripts.workflow.config import read

PAPER = read("paper")


def mapped(row: dict[str, Any], source: str) -> dict[str, Any]:
    """The record of a row by the paper's scale's own adapter."""
    return dict(adapt(row, PAPER.sources[source].adapter, source, "general"))


def verdicts(record: dict[str, Any], *responses: str) -> list[Verdict]:
    answer = Answer.from_json(record["answer"]["kind"], record["answer"]["spec"])
    with VerifierPool(1, VerifySettings()) as pool:
        return pool.verify_many([(response, answer) for response in responses])


# --- MMLU-Redux 2.0: question, choices, answer (index), error_type, source, correct_answer, potential_reason ----------

REDUX = {
    "question": "Find the degree of the extension Q(sqrt(2)) over Q.",
    "choices": ["0", "4", "2", "6"],
    "answer": 2,
    "error_type": "ok",
    "source": "x",
    "correct_answer": None,
    "potential_reason": None,
}


def test_mmlu_redux() -> None:
    record = mapped(REDUX, "mmlu-redux")
    assert record["messages"] == [{"role": "user", "content": f"{REDUX['question']}\n\nA. 0\nB. 4\nC. 2\nD. 6"}]
    assert record["answer"]["kind"] == "choice"
    assert json.loads(record["answer"]["spec"]) == {"target": "C", "options": ["0", "4", "2", "6"]}
    said = verdicts(record, r"So it is \boxed{C}.", r"\boxed{B}", "<think>\\boxed{C}</think>\\boxed{A}")
    assert [verdict.correct for verdict in said] == [True, False, False]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"error_type": "wrong_groundtruth"}, "error_type-is-not-ok"),
        ({"error_type": None}, "error_type-is-not-ok"),
        ({"answer": 4}, "target-is-no-option"),
        ({"answer": -1}, "target-is-no-option"),
        ({"choices": ["0"]}, "malformed-options"),
        ({"choices": None}, "choices-missing"),
    ],
)
def test_rows_of_mmlu_redux_that_are_not_asked(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(RowError, match=reason):
        mapped(REDUX | change, "mmlu-redux")


def test_all_subjects_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    """The repository's files are those of `save_to_disk`: an Arrow stream a subject."""
    for subject in ("virology", "anatomy"):
        (tmp_path / subject).mkdir()
        table = pa.Table.from_pylist([REDUX | {"question": f"{subject} {place}"} for place in range(2)])
        file = tmp_path / subject / "data-00000-of-00001.arrow"
        with file.open("wb") as sink, pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
        (tmp_path / subject / "state.json").write_text("{}")
    source = PAPER.sources["mmlu-redux"].model_copy(update={"rows": 4})
    rows = [row["question"] for row in open_source("mmlu-redux", source, tmp_path, tmp_path)]  # type: ignore[index]
    assert rows == ["anatomy 0", "anatomy 1", "virology 0", "virology 1"]
    whole = (tmp_path / "virology" / "data-00000-of-00001.arrow").read_bytes()
    (tmp_path / "virology" / "data-00000-of-00001.arrow").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError, match="damaged Arrow"):
        [*read_rows(tmp_path / "virology" / "data-00000-of-00001.arrow")]


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"sources.mmlu-redux.files: .* has no \*/data-\*.arrow"):
        open_source("mmlu-redux", PAPER.sources["mmlu-redux"], tmp_path, tmp_path)


def test_a_source_has_one_way_to_be_read() -> None:
    stated = PAPER.sources["mmlu-redux"].model_dump()
    for change in ({"split": "test"}, {"files": None}):
        with pytest.raises(ValueError, match="give either `split`"):
            HubSource.model_validate(stated | change)


# --- MBPP: text, code, task_id, test_setup_code, test_list, challenge_test_list ---------------------------------------

BALANCED = {
    "text": "Write a function to count the nodes of a tree.",
    "code": "class Node:\n    def __init__(self, left=None):\n        self.left = left\n\n"
    "def count(node):\n    return 0 if node is None else 1 + count(node.left)",
    "test_setup_code": "root = Node(Node())",
    "test_list": ["assert count(root) == 2", "assert count(root.left) == 1"],
}


def test_mbpp_runs_what_comes_before_a_test() -> None:
    """Without its setup no program could pass such a row."""
    record = mapped(BALANCED, "mbpp")
    assert [message["content"] for message in record["messages"]] == [
        "Write a function to count the nodes of a tree.\n\nassert count(root) == 2",
        BALANCED["code"],
    ]
    right = f"```python\n{BALANCED['code']}\n```"
    said = verdicts(record, right, right.replace("1 +", "2 +"))
    assert [verdict.correct for verdict in said] == [True, False], said


# --- OpenCodeInstruct: input, output, unit_tests (a JSON text), average_test_score, ... -------------------------------


def test_opencodeinstruct_has_tests_that_can_fail() -> None:
    tests = ["\nassert double(2) == 4", "\nassert double(0) == 0"]
    row = {"input": "Write double(x).", "output": "```python\ndef double(x):\n    return 2 * x\n```"}
    record = mapped({**row, "unit_tests": json.dumps(tests)}, "opencodeinstruct")
    assert json.loads(record["answer"]["spec"])["tests"] == tests
    said = verdicts(record, row["output"], row["output"].replace("2 *", "3 *"))
    assert [verdict.correct for verdict in said] == [True, False], said


# --- Nemotron-Instruction-Following-Chat: messages of role, content, reasoning_content --------------------------------


def test_nemotron_chat_keeps_its_thoughts() -> None:
    turns = [
        {"role": "user", "content": "2+2?", "reasoning_content": None},
        {"role": "assistant", "content": "4", "reasoning_content": "Two and two."},
    ]
    record = mapped({"uuid": "1", "messages": turns, "tools": []}, "nemotron-if-chat")
    assert record["messages"][-1]["content"] == "<think>\nTwo and two.\n</think>\n\n4"


# --- Nemotron-RL-instruction_following and -knowledge-mcqa ------------------------------------------------------------


def test_nemotron_rl_constraints_and_choices() -> None:
    row = {"prompt": "q", "instruction_id_list": ["a:b", "c:d", "e:f"], "kwargs": [None, {"n": 13, "m": None}, {}]}
    spec = json.loads(mapped(row, "nemotron-if")["answer"]["spec"])
    assert spec == {"instruction_id_list": ["a:b", "c:d", "e:f"], "kwargs": [{}, {"n": 13}, {}]}
    row = {"responses_create_params": {"input": [{"role": "user", "content": "q"}]}, "expected_answer": "C"}
    assert json.loads(mapped(row, "nemotron-mcqa")["answer"]["spec"]) == {"target": "C"}


# --- LiveCodeBench: test5.jsonl of code_generation_lite --------------------------------------------------------------


def packed(cases: list[dict[str, str]]) -> str:
    """As LiveCodeBench packs private tests."""
    return base64.b64encode(zlib.compress(pickle.dumps(json.dumps(cases)))).decode()


def case(stdin: str, stdout: str, kind: str = "stdin") -> dict[str, str]:
    return {"input": stdin, "output": stdout, "testtype": kind}


STDIN = {
    "question_title": "A. Sum",
    "question_content": "Print the sum of N integers.",
    "platform": "atcoder",
    "question_id": "abc001_a",
    "contest_id": "abc001",
    "contest_date": "2024-10-05T00:00:00",
    "starter_code": "",
    "difficulty": "easy",
    "public_test_cases": json.dumps([case("2\n1 2\n", "3\n")]),
    "private_test_cases": packed([case("3\n1 2 3\n", "6"), case("1\n-4\n", "-4\n")]),
    "metadata": "{}",
}
METHOD = STDIN | {
    "platform": "leetcode",
    "question_content": "Return the k smallest numbers, sorted.",
    "starter_code": "class Solution:\n    def kSmallest(self, nums: List[int], k: int) -> List[int]:\n        ",
    "public_test_cases": json.dumps([case("[3, 1, 2]\n2", "[1, 2]", "functional")]),
    "private_test_cases": packed([case("[]\n1", "[]", "functional"), case("[5, 4]\n1", "[4]", "functional")]),
    "metadata": json.dumps({"func_name": "kSmallest"}),
}


def program(text: str) -> str:
    return f"Here it is:\n```python\n{text}\n```"


def test_livecodebench_with_standard_input() -> None:
    record = mapped(STDIN, "livecodebench")
    (message,) = record["messages"]
    assert message["content"].startswith(
        "### Question:\nPrint the sum of N integers.\n\n### Format: Read the inputs from"
    )
    assert "```python\n# YOUR CODE HERE\n```" in message["content"]
    said = verdicts(
        record,
        program("n = int(input())\nprint(sum(map(int, input().split())))"),
        program("input()\nprint(sum(abs(int(x)) for x in input().split()))"),  # wrong in the last private test alone
        program("print(reduce(add, map(int, stdin.read().split()[1:])))"),  # the harness imports these names
    )
    assert [verdict.correct for verdict in said] == [True, False, True], said
    assert "input 3 of 3" in said[1].reason


def test_livecodebench_with_starter_code() -> None:
    record = mapped(METHOD, "livecodebench")
    assert f"```python\n{METHOD['starter_code']}\n```" in record["messages"][0]["content"]
    start = "class Solution:\n    def kSmallest(self, nums: List[int], k: int) -> List[int]:\n        return "
    said = verdicts(
        record,
        program(start + "sorted(nums)[:k]"),
        program(start + "tuple(sorted(nums)[:k])"),  # LiveCodeBench takes a tuple for a list
        program(start + "nums[:k]"),
        program(start + "[1, 2]"),
    )
    assert [verdict.correct for verdict in said] == [True, True, False, False], said


def test_hidden_tests_stay_packed_and_count_for_the_time_limit() -> None:
    record = mapped(STDIN, "livecodebench")
    spec = json.loads(record["answer"]["spec"])
    assert len(spec["tests"]) == 1 and spec["packed_tests"]["count"] == 2
    settings = VerifySettings()
    without = wall_limit(Answer("code", spec | {"packed_tests": None}), settings)
    assert wall_limit(Answer("code", spec), settings) == without + 2 * settings.code_wall_seconds
    broken = Answer("code", spec | {"packed_tests": {"count": 3, "zlib": spec["packed_tests"]["zlib"]}})
    with VerifierPool(1, settings) as pool:
        (verdict,) = pool.verify_many([(program("print(1)"), broken)])
    assert verdict.correct is None and "2 tests, not 3" in verdict.reason


def evil() -> str:
    class Evil:
        def __reduce__(self) -> Any:
            return (print, ("run",))

    return base64.b64encode(zlib.compress(pickle.dumps(Evil()))).decode()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"private_test_cases": evil()}, "unreadable-tests"),
        ({"private_test_cases": "AAAA"}, "unreadable-tests"),
        ({"private_test_cases": packed([])[:-9]}, "unreadable-tests"),
        ({"private_test_cases": base64.b64encode(zlib.compress(pickle.dumps(5))).decode()}, "unreadable-tests"),
        ({"public_test_cases": "[]", "private_test_cases": packed([])}, "malformed-tests"),
        ({"public_test_cases": json.dumps([{"input": "1"}])}, "malformed-tests"),
        ({"public_test_cases": None}, "public_test_cases-missing"),
        ({"public_test_cases": json.dumps([case("1", "1", "functional")])}, "functional-test-without-a-function"),
    ],
)
def test_rows_of_livecodebench_that_cannot_be_read(
    change: dict[str, Any], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(RowError, match=reason):
        mapped(STDIN | change, "livecodebench")
    assert "run" not in capsys.readouterr().out, "nothing in a pickle is ever called"


# --- ZebraLogic: grid_mode ------------------------------------------------------------------------------------------

ZEBRA = {
    "id": "lgp-test-2x2-33",
    "size": "2*2",
    "puzzle": "There are 2 houses, numbered 1 to 2 from left to right.\n - `Eric`, `Arnold`\n\n## Clues:\n1. ...",
    "solution": {"header": ["House", "Name", "Animal"], "rows": [["1", "Arnold", "cat"], ["2", "Eric", "horse"]]},
    "created_at": "2024-07-03T21:21:29.209499",
}


def stated(*cells: str) -> str:
    """A response that fills the four cells."""
    first, second, third, fourth = cells
    solution = {"House 1": {"Name": first, "Animal": second}, "House 2": {"Name": third, "Animal": fourth}}
    return json.dumps({"reasoning": "By clue 1 {so}.", "solution": solution})


def test_zebralogic() -> None:
    record = mapped(ZEBRA, "zebra-logic")
    (message,) = record["messages"]
    assert message["content"].startswith("# Puzzle\n\nThere are 2 houses")
    form = json.loads(message["content"][message["content"].index('{\n    "reasoning"') :])
    assert form["solution"]["House 2"] == {"Name": "___", "Animal": "___"}
    assert "Eric" not in json.dumps(form), "the form gives nothing away"
    right, wrong = stated("Arnold", "cat", "Eric", "horse"), stated("Arnold", "horse", "Eric", "cat")
    said = verdicts(
        record,
        f"```json\n{right}\n```",
        stated("arnold ", "Cat", "ERIC", "horse"),
        f"First I thought {wrong}, but then:\n{right}\nDone {{really}}.",
        wrong,
        f"{right}\nNo, rather:\n{wrong}",
        json.dumps({"solution": {"House 1": {"Name": "Arnold", "Animal": "cat"}}}),
        right[:-5],
        "I cannot solve it.",
        json.dumps({"solution": [1, 2]}),
        json.dumps({"solution": {"House 1": None, "House 2": {"Name": ["Eric"], "Animal": 3}}}),
    )
    assert [verdict.correct for verdict in said] == [True] * 3 + [False] * 7
    assert said[3].reason == "wrong: 2 of 4 cells" and said[9].reason == "wrong: 1 of 4 cells"


@pytest.mark.parametrize(
    ("solution", "reason"),
    [
        ({"header": ["House", "Name"], "rows": [["___", "___"]]}, "grid-without-its-solution"),
        ({"header": ["Name", "House"], "rows": [["a", "1"]]}, "malformed-grid"),
        ({"header": ["House", "Name"], "rows": [["1"]]}, "malformed-grid"),
        ({"header": ["House", "Name"], "rows": []}, "malformed-grid"),
        ("x", "malformed-grid"),
        (None, "solution-missing"),
    ],
)
def test_rows_of_zebralogic_that_cannot_be_asked(solution: Any, reason: str) -> None:
    """The public copy of the benchmark's own repository has its solutions blanked."""
    with pytest.raises(RowError, match=reason):
        mapped(ZEBRA | {"solution": solution}, "zebra-logic")


def test_a_grid_without_its_solution_is_no_answer() -> None:
    with VerifierPool(1, VerifySettings()) as pool:
        said = pool.verify_many(
            [("{}", Answer("grid", spec)) for spec in ({}, {"solution": {}}, {"solution": {"a": 1}})]
        )
    assert [verdict.correct for verdict in said] == [None] * 3
