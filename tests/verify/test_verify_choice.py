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
        "I choose B",
        "I choose (B).",
        "I'd go with **B**.",
        "I would pick option B, as it is right.",
        "I will select B because A is wrong.",
        "I'll go with B) London",
        "Some text.\nI choose B.\nBecause London is in England.",
        "Option B is correct",
        "Option B is correct.\nThe others are wrong.",
        "(B) is the correct answer.",
        "B is the right choice, since A fails.",
        "Reasoning.\nTherefore, option B is the best answer.\nGood luck!",
        "So B is correct.\nA is wrong.",
        "**B** is correct. The rest is not.",
        "**B**\n\nLondon is the capital.",
        "**B) London**\n\nLondon is the capital.",
        "Let me think.\n\n**B**\n\nThat is it.",
        "**(B)**\nExplanation follows.",
        "B\n\nLondon is the capital of England.",
        "(B)\nLondon is the capital.",
        "B.\n\nExplanation: the capital.",
        "Reasoning.\n\nB) London",
        "Reasoning about it.\n(B) London",
        "Reasoning.\n**B. London**",
        "\u7b54\u6848\u662fB",
        "\u7b54\u6848\u662fB\u3002",
        "\u7b54\u6848\uff1aB",
        "\u6b63\u786e\u7b54\u6848\u662f\uff1aB",
        "\u7b54\u6848\u4e3a\uff08B\uff09\u3002",
        "\u6240\u4ee5\u7b54\u6848\u662f **B**\u3002",
        "\u6545\u9009B\u3002",
        "\u56e0\u6b64\u9009B",
        "\u5e94\u9009 B",
        "\u6211\u9009\u62e9B\u3002",
        "\u9009\u9879B\u6b63\u786e",
        "\u9009\u9879B\u662f\u6b63\u786e\u7684\u3002",
        "\u7b54\u6848\u9009B\u3002",
        "\u7b54\u6848\u5e94\u8be5\u662fB",
        "\u53c2\u8003\u7b54\u6848\uff1a\uff22",
        "\u7b54\u3048\uff1aB",
        "\u7b54\u3048\u306fB\u3067\u3059\u3002",
        "\u6b63\u89e3\u306fB\u3067\u3059\u3002",
        "\uc815\ub2f5\uc740 B\uc785\ub2c8\ub2e4.",
        "\uc815\ub2f5: B",
        "La respuesta correcta es B.",
        "La respuesta es (B).",
        "La r\xe9ponse est B.",
        "Die richtige Antwort ist B.",
        "Die Antwort lautet B.",
        "A resposta correta \xe9 B.",
        "La risposta corretta \xe8 B.",
        "\u041e\u0442\u0432\u0435\u0442: B",
        "\u041f\u0440\u0430\u0432\u0438\u043b\u044c\u043d\u044b\u0439 \u043e\u0442\u0432\u0435\u0442: B.",
        "The answer is therefore B.",
        "The answer is clearly (B).",
        "The answer is most likely B.",
        "The answer to the question is B.",
        "The correct answer here is B.",
        "The answer is the letter B.",
        "The answer is option B: London",
        "\u24b7",
        "Answer: \u24b7",
        "The correct answer among the choices is B.",
        "The answer is B which is better than A or C",
        "The answer is B because A or C would be too long.",
        "Answer: B, not A or C",
        "\\boxed{\\textbf{B}}",
        "$\\boxed{\\text{(B)}}$",
        "Final Answer: B) London",
        "The correct choice is: **B) London**",
        "Answer: B. London is the capital of England. A or C would be wrong",
        "I choose B over C.",
        "A is wrong.\nOption B is correct.\nC is wrong.\nD is wrong.",
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
        "I choose B or C",
        "I would choose B or maybe C",
        "I would not choose B",
        "I wouldn't choose B",
        "I can't choose between B and C.",
        "Option B is correct. Option C is correct.",
        "Option B is correct.\nOption C is correct.",
        "B is correct?",
        "If B is correct, then A is wrong.",
        "It is not true that B is correct",
        "Whether option B is correct is unclear",
        "Either A or B is correct",
        "Student B is correct",
        "Statement B is correct.",
        "B is correct only if C fails",
        "**A**\n**B**\n**C**",
        "**B**\n\nor\n\n**C**",
        "**A) Paris**\nno\n**B) London**\nyes\n**C) A river**\nno",
        "B\nC\nhm",
        "A. Paris\nB. London\nC. A river",
        "A) Paris\nB) London",
        "(A) Paris\n(B) London\n(C) no idea",
        "B) London or C) Paris",
        "Answer: B) London or C) A river",
        "The answer is B (London) or C (Paris).",
        "B. London or C. Paris",
        "Reasoning.\n(B) London or (C) Paris",
        "Reasoning\nB) or C)",
        "\u4e0d\u9009B",
        "\u4e0d\u80fd\u9009B",
        "\u5982\u679c\u9009B",
        "\u9009B\u8fd8\u662f\u9009C",
        "\u9009B\u6216C",
        "\u7b54\u6848\u662fB\u6216C",
        "\u7b54\u6848\u662fB\u3001C",
        "\u7b54\u6848\u4e0d\u662fB",
        "\u9009\u9879B\u9519\u8bef",
        "\u9009\u9879B\u6b63\u786e\uff0c\u9009\u9879C\u6b63\u786e",
        "La respuesta no es B.",
        "La respuesta es B o C",
        "The answer isn't B",
        "The answer depends on whether A is true",
        "The answer is between B and C",
        "Answer: B. C.",
        "I choose a dog",
        "B. subtilis is a bacterium.\nI am not sure.",
        "A plan is good.\nHm.",
        "Why is B correct?",
        "Why B is correct is unclear",
        "I think B is not correct",
        "**B or C**\nhm",
        "Could B be the answer?",
        "B\n\nC",
        "**B**\nor\nC",
        "La r\xe9ponse est B ou C",
        "\u9009B\u5417\uff1f\u4e0d\uff0c\u9009C",
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
