"""Task families: verifiers that know no family accept every right response and reject every wrong one."""

from __future__ import annotations

import contextlib
import io
import itertools
import re
import subprocess
import sys
from collections import Counter
from random import Random
from typing import Any

import pytest

from scripts.common.chat.thinking import strip_thinking
from scripts.sources.corpora import VERIFIABLE, Families
from scripts.sources.tasks import code, instruction
from scripts.sources.tasks.base import LEVELS, Task
from scripts.sources.tasks.knowledge import STATED, World, question
from scripts.sources.tasks.words import ADJECTIVES, ANIMALS
from scripts.verify import Answer, VerifierPool

DRAWS = 24  # tasks per domain and level


def families(seed: int = 1) -> Families:
    return Families(World(Random(seed), 24))


@pytest.fixture(scope="module")
def tasks() -> list[Task]:
    drawn, rng = families(), Random(7)
    return [drawn.by_domain[domain](rng, level) for domain in VERIFIABLE for level in LEVELS for _ in range(DRAWS)]


def test_the_projects_verifiers_accept_what_is_right_and_reject_what_is_wrong(tasks: list[Task]) -> None:
    items = [(text, task) for task in tasks for text in (task.response, strip_thinking(task.thinking()), task.wrong)]
    with VerifierPool(workers=2) as pool:
        verdicts = pool.verify_many([(text, Answer(task.kind, task.spec)) for text, task in items])
    failed = [
        (task.prompt, text, verdict)
        for (text, task), verdict in zip(items, verdicts, strict=True)
        if verdict.correct is not (text != task.wrong)
    ]
    assert len(items) == 3 * DRAWS * 12 and not failed


def test_the_reference_checkers_of_ifeval_agree(tasks: list[Task]) -> None:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):  # nltk's download notice
        ifeval = pytest.importorskip("lm_eval.tasks.ifeval.utils")
    import langdetect

    langdetect.DetectorFactory.seed = 0

    def follows(task: Task, response: str) -> bool:
        spec: dict[str, Any] = task.spec
        example = ifeval.InputExample(0, spec["instruction_id_list"], task.prompt, spec["kwargs"])
        return bool(ifeval.test_instruction_following_strict(example, response).follow_all_instructions)

    demands = [task for task in tasks if task.domain == "instruction"]
    assert all(follows(task, task.response) for task in demands)
    assert not any(follows(task, task.wrong) for task in demands)
    used = Counter(name for task in demands for name in task.spec["instruction_id_list"])
    assert set(used) == {item.name for item in instruction.CONSTRAINTS}


def test_every_short_sentence_is_english_to_the_language_detection() -> None:
    """IFEval's case constraints ask a detector whether the text is English, and it errs on short texts in capitals."""
    responses = [
        instruction.respond(topic, adjective, {case: {}, **{name: {} for name in others}})
        for topic, adjective in itertools.product(ANIMALS, ADJECTIVES)
        for case in sorted(instruction.CASES)
        for others in ((), ("punctuation:no_comma",), ("punctuation:no_comma", "detectable_format:title"))
    ]
    answers = {
        case: Answer("instructions", {"instruction_id_list": [case], "kwargs": [{}]}) for case in instruction.CASES
    }
    with VerifierPool(workers=2) as pool:
        upper, lower = (answers[f"change_case:english_{case}"] for case in ("capital", "lowercase"))
        verdicts = pool.verify_many([(text, upper if text.isupper() else lower) for text in responses])
    failed = [text for text, verdict in zip(responses, verdicts, strict=True) if not verdict.correct]
    assert len(responses) == 576 and not failed


def test_programs_pass_their_tests_in_a_plain_interpreter(tasks: list[Task]) -> None:
    """All programs in one process: a block that ends without `fine` failed one of its asserts."""
    programs = [task for task in tasks if task.domain == "code"]
    blocks = [(task.response, task.spec["tests"]) for task in programs]
    blocks += [(task.wrong, task.spec["tests"]) for task in programs]
    source = "".join(
        f"try:\n    exec({fenced(response)!r}, globals())\n    exec({chr(10).join(tests)!r}, globals())\n"
        f"    print('fine')\nexcept Exception:\n    print('failed')\n"
        for response, tests in blocks
    )
    output = subprocess.run([sys.executable, "-I", "-c", source], capture_output=True, text=True, check=True).stdout
    assert output.split() == ["fine"] * len(programs) + ["failed"] * len(programs)


def fenced(response: str) -> str:
    found = re.fullmatch(r"```python\n(.*)\n```", response, re.DOTALL)
    assert found is not None
    return found[1]


def test_sums_are_what_python_says(tasks: list[Task]) -> None:
    for task in (task for task in tasks if task.domain == "math"):
        written = re.fullmatch(r"([\d +-]+) = \\boxed\{(\d+)\}", task.response)
        assert written is not None and eval(written[1]) == int(written[2]) == int(task.spec["target"])
        for line in task.thought.splitlines():
            left, right = line.split(" = ")
            assert eval(left) == int(right)
        assert all(number in task.prompt for number in re.findall(r"\d+", written[1]))


def test_levels_are_harder_by_construction(tasks: list[Task]) -> None:
    by_level = {
        level: {
            domain: [task for task in tasks if (task.domain, task.level) == (domain, level)] for domain in VERIFIABLE
        }
        for level in LEVELS
    }
    assert all(len(task.spec["kwargs"]) == level for level in LEVELS for task in by_level[level]["instruction"])
    steps = {level: {task.thought.count("=") for task in by_level[level]["math"]} for level in LEVELS}
    assert steps == {1: {1}, 2: {1}, 3: {2}}
    operands = {level: max(numbers(task) for task in by_level[level]["math"]) for level in (1, 2)}
    assert operands == {1: 5, 2: 9}
    builtins = {entry[1] for entry in code.BUILTIN}
    assert {expression(task) in builtins for task in by_level[2]["code"]} == {True}
    assert {any(expression(task).startswith(f"{known} ") for known in builtins) for task in by_level[3]["code"]} == {
        True
    }


def numbers(task: Task) -> int:
    """The largest operand of a sum."""
    return max(int(number) for number in re.findall(r"\d+", task.response.split("=")[0]))


def expression(task: Task) -> str:
    return task.response.split("return ")[1].split("\n")[0]


def test_every_fact_is_stated_as_often_as_its_level_says() -> None:
    world = World(Random(3), 24)
    text = world.statements(Random(4), 30_000)
    stated = {
        level: sum(text.count(fact.statement()) for fact in world.facts if fact.level == level) for level in LEVELS
    }
    total = sum(STATED.values())
    assert {level: len([fact for fact in world.facts if fact.level == level]) for level in LEVELS} == {
        1: 24,
        2: 24,
        3: 24,
    }
    assert sum(stated.values()) == 30_000
    for level, share in STATED.items():
        assert stated[level] / 30_000 == pytest.approx(share / total, abs=0.02)


def test_the_answer_of_a_question_is_what_the_world_states() -> None:
    world, rng = World(Random(3), 24), Random(5)
    facts = {fact.statement() for fact in world.facts}
    for level in LEVELS * 20:
        task = world.draw(rng, level)
        assert task.thought in facts
        value = task.response.split("\n")[0]
        assert f"\n{task.spec['target']}) {value}" in task.prompt and value in task.thought


@pytest.mark.parametrize(
    "prompt",
    [
        "Quiz: What does the neto eat?\nA) bread",
        "What does the neto eat? Choose one.\nA) bread",
        "What does the neto eat?",
    ],
)
def test_openings_and_closings_leave_the_question_the_same(prompt: str) -> None:
    assert question(prompt) == "What does the neto eat?"


def test_the_same_state_gives_the_same_task() -> None:
    drawn = [
        [families().by_domain[domain](Random(11), level) for domain in (*VERIFIABLE, "general") for level in LEVELS]
        for _ in range(2)
    ]
    assert drawn[0] == drawn[1]
