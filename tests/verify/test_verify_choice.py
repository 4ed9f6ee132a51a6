"""Choice: the usual ways to state an option, and the ways to hedge."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from verifiers import choice

from scripts.verify import verify

OPTIONS = ["Paris", "London", "A river", "None of the above"]


@pytest.mark.parametrize(
    "response",
    [
        "B",
        "(B)",
        "B.",
        "**B**",
        "B) London",
        "The answer is B",
        "The answer is (B).",
        "The correct answer is **B**.",
        "Answer: B",
        "**Answer:** B",
        "Answer: **B**",
        "answer is b)".replace("b)", "(b)"),
        "So the answer is B because London is in England.",
        "Some words.\n\nAnswer: B) London",
        "Some words.\n\nFinal Answer: $\\boxed{B}$",
        "\\boxed{\\text{B}}",
        "\\boxed{(B)}",
        "\\boxed{b}",
        "\\boxed{B. London}",
        "First I thought the answer is A.\nBut no: the answer is B.",
        "Answer:\nB",
        "The answer is\n\n**B**",
        "Reasoning about A and C.\n\nB",
        "#### B",
        "Option A is wrong. Option B is right.\nAnswer: Option B",
        "The best choice is B.",
        "Answer: b",
        "The answer is b.",
        '{"reasoning": "A is no city of England", "answer": "B"}',
        "<answer>B</answer>",
        "Thus, the answer is \\(B\\).",
        "Answer:\n\n\\[ B \\]",
        "The answer is B, not A.",
        "Answer: B (not C)",
        "Answer: B - the capital of England",
        "Answer: B - London",
        "Answer: B \u2013 C cells have none",
        "Answer: B - C. elegans has none",
        "B. Carbon dioxide",
        "B is correct, C is wrong",
        "Answer: B is correct, C is wrong",
        "Answer: B. No other option fits.",
        "Answer: B then. The others are wrong.",
        "The answer is B? Let me check. Yes, the answer is B.",
    ],
)
def test_a_stated_option_is_found(response: str) -> None:
    assert verify(response, choice("B")).correct is True
    assert verify(response, choice("b", options=OPTIONS)).correct is True
    assert verify(response, choice("C")).correct is False


@pytest.mark.parametrize(
    "response",
    [
        "",
        "A or B",
        "The answer is A or B.",
        "Answer: A, B",
        "Answer: A/B",
        "Answer: A and B",
        "\\boxed{A, B}",
        "\\boxed{A} \\boxed{B}",
        "The answer is A. The answer is B.",
        "Answer: A or maybe B",
        "Answer: A, possibly also B",
        "<answer>A or B</answer>",
        '{"answer": "A, B"}',
        "The answer is not B.",
        "It is neither A nor B.",
        "Both look good to me: B maybe, or C.",
        "A. Paris\nB. London\nC. A river\nSomething else",
        "ABCD",
        "The answer is Better",
        "Be careful.",
        "Options: A B C D",
        "Answer: B vs C",
        "Answer: B vs. C",
        "Answer: B versus C",
        "Answer: B then C",
        "Answer: B, then C",
        "Answer: B+C",
        "Answer: B \\ C",
        "Answer: B\\C",
        "Answer: B - C",
        "Answer: B\u2013C",
        "Answer: B (or C)",
        "\\boxed{B-C}",
        "\\boxed{B + C}",
        "Answer: B is wrong",
        "Answer: B is not correct",
        "Answer: B isn't the answer",
        "The correct option is B? No, C",
        "The correct option is B? No.",
        "Answer: B. Wait, C",
        "Answer: B, no, C",
        "B vs C",
        "B - C",
        "B? No, C",
    ],
)
def test_an_ambiguous_or_missing_statement_is_false_for_every_option(response: str) -> None:
    for letter in "ABCD":
        assert verify(response, choice(letter)).correct is False, letter


@pytest.mark.parametrize("response", ["The answer is A good question.", "Answer: I think so", "The answer is A river"])
def test_the_words_a_and_i_are_no_options(response: str) -> None:
    assert verify(response, choice("A")).correct is False
    assert verify(response, choice("I")).correct is False


def test_the_letter_a_counts_where_markup_ends_it() -> None:
    for response in (
        "<answer>A</answer>",
        '{"answer": "A"}',
        "Answer: a",
        "the answer is \\(A\\)",
        "Answer: $A$ since",
    ):
        assert verify(response, choice("A")).correct is True, response


def test_the_text_of_an_option_counts_where_the_options_are_given() -> None:
    assert verify("The answer is London.", choice("B", options=OPTIONS)).correct is True
    assert verify("The answer is A river.", choice("C", options=OPTIONS)).correct is True
    assert verify("London", choice("B", options={"A": "Paris", "B": "London"})).correct is True
    assert verify("The answer is London.", choice("A", options=OPTIONS)).correct is False
    assert verify("The answer is London.", choice("B")).correct is False


def test_a_letter_that_is_no_option_is_no_answer() -> None:
    assert verify("The answer is E.", choice("A", options=OPTIONS)).correct is False


@settings(deadline=None, derandomize=True)
@given(
    st.sampled_from("ABCD"), st.text(alphabet="abcdefgh ,.\n", max_size=60), st.sampled_from(["", " ", "\n", "\t \n"])
)
def test_white_space_and_prose_after_the_answer_do_not_matter(letter: str, prose: str, space: str) -> None:
    response = f"{space}Answer: {letter}.{space}\n{prose}"
    for wanted in "ABCD":
        assert verify(response, choice(wanted)).correct is (wanted == letter)
