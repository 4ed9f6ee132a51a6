"""Each dimension of cross-verification by hand, and the judge's scores."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from scripts.distill import judge
from scripts.distill.candidates import (
    Dimensions,
    answer_key,
    comparable,
    format_problem,
    length_ok,
    refusals,
    votes,
)
from scripts.distill.gather import Candidate
from scripts.distill.settings import ORIGINAL
from scripts.distill.settings.cross_verify import Acceptance, Checks, ResponseSet
from scripts.distill.settings.judge import Judge
from scripts.generation.prompts import Completion
from scripts.verify import Answer, VerifySettings

VERIFY = VerifySettings()


def candidate(text: str, teacher: str = "a", finish: str = "stop", sample: int = 0) -> Candidate:
    return Candidate(teacher, sample, text, finish, 3)


@pytest.mark.parametrize(
    ("text", "thinking", "problem"),
    [
        ("The answer is 3.", False, None),
        ("  ", False, "empty answer"),
        ("<think>\n\n</think>\n\n3", False, "unwanted think block"),
        ("3 <think> so", False, "unclosed think block"),
        ("<think>\n1 + 2\n</think>\n\n3", True, None),
        ("1 + 2\n</think>\n\n3", True, None),  # the template opened the block in the prompt
        ("3", True, "missing think block"),
        ("<think>\n1 + 2", True, "unclosed think block"),
        ("<think>\n\n</think>\n\n3", True, "empty think block"),
        ("<think>\n1 + 2\n</think>\n\n", True, "empty answer"),
        ("<think>a</think><think>b</think>3", True, "repeated think block"),
        ("</think>3<think>", True, "unclosed think block"),
    ],
)
def test_format(text: str, thinking: bool, problem: str | None) -> None:
    assert format_problem(candidate(text), thinking) == problem
    assert format_problem(candidate(text, finish="length"), thinking) == "truncated"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("The answer is 18.", "18"),
        ("so \\boxed{18}", "18"),
        ("18.0", "18"),
        ("It costs 1,234 dollars", "1234"),
        ("Answer: 0.50", "1/2"),
        ("Answer: 1200", "1200"),
        ("\\boxed{ \\frac{1}{2} }", "1/2"),
        ("\\boxed{\\dfrac{2}{4}}", "1/2"),
        ("\\boxed{-\\tfrac{1}{2}}", "-1/2"),
        ("\\boxed{\\dfrac{\\pi}{2}}", "\\frac{\\pi}{2}"),
        ("\\boxed{\\tfrac{\\pi}{2}}", "\\frac{\\pi}{2}"),
        ("\\boxed{x=5}", "5"),
        ("\\boxed{X = \\dfrac{1}{2}}", "1/2"),
        ("\\boxed{x=5,y=3}", "x=5,y=3"),
        ("We have 3, then 7, done", "7"),
        ("<think>it is 5</think> First 3 and then 7", "7"),
        ("<think>it is 5", None),
        ("", None),
    ],
)
def test_answer_of_math(text: str, key: str | None) -> None:
    assert answer_key(text, Answer("math", {"target": "18"}), VERIFY) == key


@pytest.mark.parametrize(
    ("text", "key"), [("Answer: B", "B"), ("The answer is (D).", "D"), ("Answer: A or B", None), ("no idea", None)]
)
def test_answer_of_choice(text: str, key: str | None) -> None:
    """The key is the option stated, whatever the target is."""
    assert answer_key(text, Answer("choice", {"target": "A"}), VERIFY) == key
    assert answer_key(text, Answer("choice", {"target": "A", "options": ["w", "x", "y", "z"]}), VERIFY) == key


@pytest.mark.parametrize(("text", "key"), [("Answer: B", "B"), ("Answer: C", "C"), ("Answer: A", None), ("y", "C")])
def test_answer_of_choice_among_other_letters_than_the_first(text: str, key: str | None) -> None:
    assert answer_key(text, Answer("choice", {"target": "B", "options": {"B": "x", "C": "y"}}), VERIFY) == key


def test_only_math_and_choice_can_be_voted_on() -> None:
    kinds = {"math": True, "choice": True, "code": False, "instructions": False, "none": False}
    assert {kind: comparable(Answer(kind, {})) for kind in kinds} == kinds  # type: ignore[arg-type]


def test_votes_by_hand() -> None:
    """Teacher a states 3, 3 and 5, teacher b 5 and no answer; the source's own response states 5 and has no vote."""
    keys = ["3", "3", "5", "5", None, "5"]
    candidates = [candidate("", teacher) for teacher in ("a", "a", "a", "b", "b", ORIGINAL)]
    found = votes(candidates, keys)
    assert [vote for vote, _ in found] == [0.4, 0.4, 0.4, 0.4, 0.0, 0.4]  # two of five samples state 3, and two state 5
    # a's opinion is 3, b's is 5: a's samples are compared with b's, b's with a's, the original with both
    assert [agreement for _, agreement in found] == [0.0, 0.0, 1.0, 0.0, 0.0, 0.5]


def test_votes_count_samples_without_an_answer() -> None:
    found = votes([candidate(""), candidate(""), candidate(""), candidate("")], ["3", None, "3", "4"])
    assert [vote for vote, _ in found] == [0.5, 0.0, 0.5, 0.25]
    assert [agreement for _, agreement in found] == [None] * 4


def test_votes_without_samples() -> None:
    assert votes([candidate("", ORIGINAL)], ["3"]) == [(0.0, None)]


def test_length() -> None:
    checks = Checks(minimum_words=2, maximum_words=6)
    assert length_ok("two words", checks)
    assert not length_ok("one", checks)
    assert not length_ok("<think>many words here</think> one", checks)
    assert not length_ok("one two three four five six seven", checks)


GOOD = Dimensions(vote=0.6, agreement=1.0, format_ok=True, language_ok=True, length_ok=True, judge_score=0.5)
BAD = Dimensions(vote=0.4, agreement=0.0, format_ok=False, language_ok=False, length_ok=False)
STRICT = Acceptance(correct="verified", minimum_vote=0.5, minimum_agreement=0.5, minimum_score=0.5)


def test_the_rule_names_every_demand_that_is_not_met() -> None:
    assert refusals(GOOD, True, True, STRICT) == []
    assert refusals(BAD, False, True, STRICT) == [
        "correct",
        "format",
        "language",
        "length",
        "vote",
        "agreement",
        "score",
    ]
    lax = Acceptance(correct="any", format=False, language=False, length=False)
    assert refusals(BAD, False, True, lax) == []


@pytest.mark.parametrize(
    ("rule", "correct", "verifiable", "accepted"),
    [
        ("verified", True, True, True),
        ("verified", None, True, False),
        ("verified", None, False, False),
        ("where-verifiable", None, False, True),
        ("where-verifiable", None, True, False),  # a candidate is refused if its verifier failed
        ("where-verifiable", False, True, False),
        ("any", False, True, True),
    ],
)
def test_rule_of_correctness(rule: str, correct: bool | None, verifiable: bool, accepted: bool) -> None:
    refused = refusals(GOOD, correct, verifiable, Acceptance(correct=rule))  # type: ignore[arg-type]
    assert (refused == []) is accepted


def test_dimensions_that_do_not_apply_demand_nothing() -> None:
    none = Dimensions(vote=None, agreement=None, format_ok=True, language_ok=True, length_ok=True)
    without_score = Acceptance(correct="verified", minimum_vote=0.5, minimum_agreement=0.5)
    assert refusals(none, True, True, without_score) == []
    assert refusals(none, True, True, STRICT) == ["score"]  # without a score from the judge


def test_a_teacher_may_not_take_the_name_of_the_original() -> None:
    stated = {"pool": "p", "samples": 1, "sampling": {"temperature": 1, "max_tokens": 8}, "thinking": False}
    with pytest.raises(ValidationError, match="means the source's own response"):
        ResponseSet.model_validate(stated | {"teachers": [ORIGINAL], "keep_original": True})
    made = ResponseSet.model_validate(stated | {"teachers": ["a"], "keep_original": True})
    assert set(made.draw.model_dump()) == {"samples", "sampling", "thinking", "prompts", "templates"}


# --- The judge ------------------------------------------------------------------------------------------------------

JUDGE = {
    "model": "j",
    "template": "Question: {prompt}\nAnswer: {response}\nA price of $5. Score 1 to 5 as [[n]].",
    "pattern": r"\[\[(-?[\d.]+)\]\]",
    "lowest": 1,
    "highest": 5,
    "sampling": {"temperature": 0, "max_tokens": 8},
    "thinking": False,
}


@pytest.mark.parametrize(
    ("text", "finish", "found"),
    [
        ("Good. [[5]]", "stop", (1.0, "")),
        ("[[1]]", "stop", (0.0, "")),
        ("First [[2]], no: [[3.0]]", "stop", (0.5, "")),  # the last one counts
        ("<think>[[5]]</think> [[2]]", "stop", (0.25, "")),
        ("<think>[[5]]", "length", (None, "judgement cut off before a score")),
        ("[[4]] and on", "length", (0.75, "")),
        ("It is good.", "stop", (None, "no score in the judgement")),
        ("[[1.2.3]]", "stop", (None, "no score in the judgement")),
        ("[[6]]", "stop", (None, "score outside the scale")),
        ("[[-1]]", "stop", (None, "score outside the scale")),
        ("", "stop", (None, "no score in the judgement")),
    ],
)
def test_score_of_a_judgement(text: str, finish: Any, found: tuple[float | None, str]) -> None:
    assert judge.score(Completion(text, finish, 3), Judge.model_validate(JUDGE)) == found


def test_the_judges_prompt() -> None:
    """Placeholders inside the prompt and the response stay as they are, and the thinking is left out."""
    record = {"messages": [{"role": "user", "content": "Is $x {response}?"}, {"role": "assistant", "content": "own"}]}
    (message,) = judge.question(record, candidate("<think>hm</think>It is {prompt}."), Judge.model_validate(JUDGE))
    assert message["content"] == (
        "Question: Is $x {response}?\nAnswer: It is {prompt}.\nA price of $5. Score 1 to 5 as [[n]]."
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"template": "Rate {response}."}, "the template has no {prompt}: the judge"),
        ({"template": "Rate it."}, "the template has no {prompt} and no {response}"),
        ({"pattern": "score: 5"}, "pattern must have one group, the score; it has 0"),
        ({"pattern": "("}, "not a regular expression"),
        ({"lowest": 5}, "must be below highest"),
    ],
)
def test_a_judge_without_its_placeholders_or_a_readable_score_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Judge.model_validate(JUDGE | changes)


def test_a_minimum_score_needs_a_judge() -> None:
    stated = {"pool": "p", "samples": 1, "sampling": {"temperature": 1, "max_tokens": 8}, "thinking": False}
    stated |= {"teachers": [], "keep_original": True, "accept": {"minimum_score": 0.5}}
    with pytest.raises(ValidationError, match="minimum_score needs a `judge`"):
        ResponseSet.model_validate(stated)
    assert ResponseSet.model_validate(stated | {"judge": JUDGE}).makers == ("j",)
