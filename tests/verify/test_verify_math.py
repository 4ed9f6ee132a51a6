"""Math: where the answer is found, what equals what, and that the quick path never changes math-verify's verdict."""

from __future__ import annotations

import logging
import random
from functools import cache
from itertools import pairwise
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from verifiers import CORPORA, json_lines, math, needs_corpora

from benchmarks import bench_verify
from scripts.verify import VerifierPool, VerifySettings, mathematics, verify
from scripts.verify.latex_value import latex_values
from scripts.verify.notations import clock_time, elided_list, numeral, percentage
from scripts.verify.units import keep_variables


@pytest.mark.parametrize(
    ("response", "target", "correct"),
    [
        # the three rules
        ("so \\boxed{18}", "18", True),
        ("\\boxed{17} no: \\boxed{18}", "18", True),
        ("\\boxed{18} no: \\boxed{17}", "18", False),
        ("\\boxed{\\frac{1}{2}} and then 3", "0.5", True),
        ("\\boxed{18", "18", False),
        ("\\boxed{} 18", "18", False),
        ("The answer is 18.", "18", True),
        ("**Final Answer:** 18", "18", True),
        ("Answer: $\\frac{3}{4}$", "0.75", True),
        ("The final answer is $x = 3$.", "3", True),
        ("#### 1,234", "1234", True),
        ("Answer:\n18", "18", True),
        ("<answer>18</answer>", "18", True),
        ("<think>9</think><answer>\n$\\frac{1}{2}$\n</answer>", "0.5", True),
        ("<answer>18</answer> since 3 * 6 = 19", "19", False),
        ("<answer></answer> 18", "18", False),
        ("Answer: \u22125", "-5", True),
        ("The answer is 7.\nNo, the answer is 18.", "18", True),
        ("I count 7 and then 18.", "18", True),
        ("I count 18 and then 7.", "18", False),
        ("no number", "18", False),
        ("", "18", False),
        # the box before the marker before the last expression
        ("The answer is 17. \\boxed{18}", "18", True),
        ("\\boxed{18}. The answer is 17", "18", True),
        ("The answer is 18. I used 5 apples.", "18", True),
        # what follows a stated answer does not count
        ("Answer: 5, since 3 * 6 = 18", "18", False),
        ("Answer: 5. Then x = 18", "18", False),
        ("Answer: 12 or 18", "18", False),
        ("\\boxed{12 \\text{ or } 18}", "18", False),
        ("\\boxed{12, 18}", "18", False),
        # nor is one of several answers the answer
        ("Answer: 3; 5", "3", False),
        ("Answer: 3; 5", "5", False),
        ("Answer: 3; 5", "3, 5", True),
        ("Answer: 3; 5", "3; 5", True),
        ("Answer: $3$; $5$", "3", False),
        ("Answer: $3$; $5$", "3, 5", True),
        ("Answer: x = 3; x = 5", "3", False),
        ("Answer: 3; so x = 5", "3", True),
        ("Answer: 3;", "3", True),
        ("Answer: 4. 5 or 6 could also work", "4", False),
        ("Answer: 4. 5 apples are left", "4", True),
        ("answer: 12:30", "12", False),
        ("answer: 12:30", "30", False),
        ("answer: 12:30", "12:30", True),
        ("Answer: 3:4", "3/4", True),
        ("Answer: 18 and 17", "17", False),
        ("Answer: 18 17", "17", False),
        ("Answer: 18 | 17", "17", False),
        ("Answer: 18 vs 17", "18", False),
        ("Answer: 18? 17?", "18", False),
        ("Answer: 18 (or 17)", "17", False),
        ("Answer: $18$ $17$", "17", False),
        ("\\boxed{2 3}", "5", False),
        ("I get 17 or 18.", "18", False),
        ("\\boxed{18} or \\boxed{17}", "17", False),
        ("\\boxed{18} \\boxed{17}", "17", False),
        ("$x = \\boxed{3}$ and $x = \\boxed{5}$", "3, 5", True),
        ("\\boxed{3}, \\boxed{5}", "\\{3, 5\\}", True),
        ("\\boxed{18}\n\n\\boxed{18}", "18", True),
        # a word for a choice elsewhere in the response is none
        ("She has 3 or 4 bags. In total 18.", "18", True),
        # nor is a denied one
        ("The answer is not 18", "18", False),
        ("The answer is less than 18", "18", False),
        ("The answer is between 17 and 19", "19", False),
        ("The answer is at least $18$", "18", False),
        # the last statement of a line
        ("The answer is 17? No, the answer is 18.", "18", True),
        ("The answer is 17? No, the answer is 18.", "17", False),
        # statements over several lines
        ("Answer:\n\n18\n\nHere I used 5 apples.", "18", True),
        ("**Final Answer:**\n\\[\n\\frac{3}{4}\n\\]\nas 3 of 4", "3/4", True),
        ("The answer is\n$$\n18\n$$", "18", True),
        ("### Final Answer\n18 apples, of 20", "18", True),
        ("**Final Answer**\n\n18 of 20", "18", True),
        ("#### 3. Compute\n3 * 6\n\nAnswer: 18\n\n#### 4. Check\n18 / 6 = 3", "18", True),
        # other languages
        ("\u7b54\u6848\u662f18\u3002", "18", True),
        ("\u7b54\u6848\uff1a $\\frac{3}{4}$\u3002\u5176\u4e2d 5", "3/4", True),
        ("\u6240\u4ee5\u7b54\u6848\u4e3a **18** \u5143\u3002\u5171 5 \u4eba", "18", True),
        ("\u603b\u5171\u670918\u4e2a\u3002", "18", True),
        ("\u7b54\u3048\u306f18\u3067\u3059\u3002", "18", True),
        ("La respuesta es 18.", "18", True),
        ("Die Antwort ist 18.", "18", True),
        ("\uc815\ub2f5\uc740 18\uc785\ub2c8\ub2e4.", "18", True),
        ("\\boxed{18\u5143}", "18", True),
        # formulas without LaTeX
        ("The answer is 5 + 3i.", "5+3i", True),
        ("The answer is 3x+2 and we are done", "2 + 3x", True),
        ("The answer is 3x+2 and we are done", "2", False),
        # forms
        ("\\boxed{18^{\\circ}}", "18", True),
        ("\\boxed{18\u00b0}", "18", True),
        ("\\boxed{18\u00b0C}", "18", True),
        ("\\boxed{18~\\text{cm}}", "18", True),
        ("\\boxed{18\\ \\mathrm{m/s}}", "18", True),
        ("\\boxed{18 \\text{ square units}}", "18", True),
        ("\\boxed{1\\,000}", "1000", True),
        ("\\boxed{\u20ac18}", "18", True),
        ("\\boxed{18 \u20ac}", "18", True),
        ("\\boxed{3 1/2}", "3.5", True),
        ("\\boxed{3 1/2}", "1.5", False),
        ("Answer: 3 1/2 cups", "7/2", True),
        ("\\boxed{3\\frac12}", "3.5", True),
        ("\\boxed{\\{1, 2\\}}", "\\{2, 1\\}", True),
        ("\\boxed{[1, 2]}", "[1, 2)", False),
        ("\\boxed{(-\\infty, 1) \\cup (2, \\infty)}", "(2,\\infty)\\cup(-\\infty,1)", True),
        ("\\boxed{\\varnothing}", "\\emptyset", True),
        ("\\boxed{\\text{6:30 PM}}", "6:30 PM", True),
        ("\\boxed{\\textbf{(C)}\\ 18}", "18", True),
        ("\\boxed{\\textbf{(C)}\\ 18}", "C", True),
        ("\\boxed{\\textbf{(C)}\\ 18}", "\\text{(D)}", False),
        ("\\boxed{(C) 18}", "17", False),
        ("\\boxed{18.}", "18", True),
        ("\\boxed{18.0}", "18", True),
        ("\\boxed{\\$18}", "18", True),
        ("\\boxed{1\\,8}", "18", False),
        ("\\boxed{4,\\!320}", "4320", True),
        ("\\boxed{0.12345}", "\\dfrac{2469}{20,\\!000}", True),
        ("\\boxed{1{,}234{,}567}", "1234567", True),
        ("\\boxed{0.333333}", "1/3", True),
        ("\\boxed{0.33}", "1/3", False),
        ("\\boxed{(x+1)^2}", "x^2+2x+1", True),
        ("\\boxed{(x+2)^2}", "x^2+2x+1", False),
        ("\\boxed{\\sqrt{8}}", "2\\sqrt{2}", True),
        ("\\boxed{3 \\frac{1}{2}}", "\\frac{7}{2}", True),
        ("\\boxed{x=3}", "3", True),
        ("\\boxed{(1,2)}", "(1, 2)", True),
        ("\\boxed{(2,1)}", "(1, 2)", False),
        ("\\boxed{90^\\circ}", "90", True),
        ("\\boxed{50\\%}", "50", True),
        ("\\boxed{5 \\text{ cm}}", "5", True),
        # words, which algebra would take for products of letters
        ("\\boxed{Monday}", "Monday", True),
        ("\\boxed{\\text{monday}}", "Monday", True),
        ("\\boxed{dynamo}", "Monday", False),
        ("The answer is Monday.", "\\text{Monday}", True),
        ("The answer is Monday, because it follows Sunday.", "Monday", True),
        ("The answer is Monday. Tuesday follows it.", "Monday", True),
        ("Answer: Yes, it is.", "Yes", True),
        ("Answer: No, since 3 is odd.", "No", True),
        ("Answer: Yes or no", "Yes", False),
        ("\\boxed{on}", "No", False),
        ("The answer is Monday or Tuesday.", "Monday", False),
        ("The answer is not possible.", "not possible", True),
        ("\\boxed{\\text{cat}}", "\\text{act}", False),
        # targets as data sets write them
        ("\\boxed{18}", "#### 18", True),
        ("\\boxed{18}", "$18$", True),
        ("\\boxed{18}", "\\boxed{18}", True),
    ],
)
def test_verdicts(pool: VerifierPool, response: str, target: str, correct: bool) -> None:
    assert pool.verify(response, math(target)).correct is correct


def test_rules_are_configuration() -> None:
    boxed_only = VerifySettings(math_extraction=("boxed",))
    assert verify("The answer is 18", math("18"), boxed_only).correct is False
    assert verify("\\boxed{18}", math("18"), boxed_only).correct is True
    marker_first = VerifySettings(math_extraction=("marker", "boxed"))
    assert verify("\\boxed{17} The answer is 18", math("18"), marker_first).correct is True


def test_a_target_that_cannot_be_parsed_is_unverifiable_but_for_its_own_text(pool: VerifierPool) -> None:
    assert pool.verify("\\boxed{\\frac{1}", math("\\frac{1")).correct is None
    verdict = pool.verify("\\boxed{x^2}", math("\\frac{x"))
    assert (verdict.correct, verdict.reason.partition(":")[0]) == (None, "unparseable target")
    assert pool.verify("\\boxed{f^{-1}(\\spadesuit 3}) }", math("f^{-1}(\\spadesuit 3})")).correct is not False


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("5", (5,)),
        ("-\\frac{1}{2}", (-0.5,)),
        ("\\frac12", (0.5,)),
        ("3\\frac{1}{2}", (3.5,)),
        ("-3\\frac{1}{2}", (-3.5,)),
        ("2\\sqrt{9} + 1", (7,)),
        ("\\sqrt[3]{8}", (2,)),
        ("2^{10} - 2^3", (1016,)),
        ("(2+1)(4-1)", (9,)),
        ("3 \\cdot 4", (12,)),
        ("2i", (2j,)),
        ("(1, 2]", (1, 2)),
        ("\\left\\{1, 2\\right\\}", (1, 2)),
        ("\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}", (1, 2)),
        ("(-\\infty, 3)", (float("-inf"), 3)),
        ("5 \\text{ cm}", (5,)),
        ("90^\\circ", (90,)),
        (".5", (0.5,)),
        ("1/\\sqrt{4}", (0.5,)),
        ("3/4 - 1/4", (0.5,)),
        ("1/2x", None),
        ("2^10", None),
        ("2 3", None),
        ("f(x)", None),
        ("10m", None),
        ("\\frac{1}{0}", None),
        ("(1,234)", None),
        ("10^{10^{10}}", None),
        ("5\\%", None),
        ("x = 3", None),
        ("", None),
        ("(" * 150, None),
    ],
)
def test_values_of_latex(text: str, values: tuple[complex, ...] | None) -> None:
    found = latex_values(text)
    assert found == (None if values is None else pytest.approx(values))


@cache
def library() -> Any:
    import math_verify

    logging.getLogger("math_verify").setLevel(logging.CRITICAL)
    return math_verify


def reference(target: str, answer: str) -> bool:
    """math-verify alone, as its README uses it."""
    lib = library()
    gold, given_ = (lib.parse(f"\\boxed{{{text}}}", parsing_timeout=None) for text in (target, answer))
    return lib.verify(gold, given_, timeout_seconds=None)


def quick(target: str, answer: str) -> bool | None:
    return quick_response(f"\\boxed{{{answer}}}", target)


def differs_by_design(target: str, answer: str) -> bool:
    """Whether docs/verifiers.md states the kind of difference from math-verify: a notation it has no meaning for, a
    letter of an option, a unit that is a variable, a number below a hundredth."""
    notations = (clock_time, numeral, elided_list, percentage)
    values = [latex_values(text) or () for text in (target, answer)]
    return (
        any(read(text) is not None for read in notations for text in (target, answer))
        or any(keep_variables(*pair) != pair[0] for pair in ((target, answer), (answer, target)))
        or any(0 < abs(value) < 0.01 for each in values for value in each)
        or mathematics._LETTER.fullmatch(target) is not None
    )


numbers = st.one_of(
    st.integers(-3000, 3000).map(str),
    st.integers(0, 10**7).map(lambda value: f"{value:,}"),
    st.decimals(-1000, 1000, places=3).map(str),
    st.decimals(0, 10, places=7).map(str),
    st.tuples(st.integers(-50, 50), st.integers(1, 50)).map(
        lambda pair: f"\\frac{{{pair[0]}}}{{{pair[1]}}}".replace("{-", "{")
    ),
    st.tuples(st.integers(0, 50), st.integers(1, 50)).map(lambda pair: f"{pair[0]}/{pair[1]}"),
    st.tuples(st.integers(1, 9), st.integers(2, 9)).map(lambda pair: f"{pair[0]}\\sqrt{{{pair[1]}}}"),
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(numbers, numbers)
def test_the_quick_path_agrees_with_math_verify_on_numbers(target: str, answer: str) -> None:
    verdict = quick(target, answer)
    if verdict is not None:
        assert verdict == reference(target, answer) or differs_by_design(target, answer)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.integers(-2, 2))
def test_the_quick_path_agrees_on_near_misses_of_decimals(micro: int, off: int) -> None:
    target, answer = f"{micro / 1e6:.6f}", f"{(micro + off) / 1e6:.6f}"
    verdict = quick(target, answer)
    if verdict is not None:
        assert verdict == reference(target, answer) or differs_by_design(target, answer)


@pytest.mark.parametrize("text", ["3; 5", "x = 3; x = 5", "12:30", "3:4", "4. 5 or 6", "4. 5 or 6 fit", "3;", "3, 5"])
@pytest.mark.parametrize("target", ["3", "4", "5", "12", "3, 5", "3; 5", "12:30", "3/4"])
def test_the_quick_path_changes_no_verdict_of_a_stated_list(text: str, target: str) -> None:
    stated = mathematics.find_answer(f"Answer: {text}", VerifySettings())
    assert stated is not None
    found = mathematics._settle(target, stated)
    assert found is None or found.correct == mathematics._compare(target, stated).correct


@cache
def answers() -> dict[str, list[str]]:
    """The answers of the real sets."""
    gsm8k = [row["answer"].partition("####")[2].strip() for row in json_lines("gsm8k/test.jsonl")]
    sets = {"gsm8k": gsm8k}
    for name, file in (("math", "math/train.parquet"), ("deepmath", "deepmath/DeepMath_deduped.parquet")):
        rows = pq.read_table(CORPORA / file).to_pylist()
        sets[name] = [str(row["answer"] if "answer" in row else row["reward_model"]["ground_truth"]) for row in rows]
    return sets


@needs_corpora
@pytest.mark.parametrize("name", ["gsm8k", "math", "deepmath"])
def test_real_answers_verify_against_themselves(pool: VerifierPool, name: str) -> None:
    """Every distinct one; those of algebra by their own text."""
    distinct = sorted(set(answers()[name]) - {""})  # MATH has one empty answer
    verdicts = pool.verify_many([(f"Thus \\boxed{{{answer}}}", math(answer)) for answer in distinct])
    wrong = [(answer, verdict) for answer, verdict in zip(distinct, verdicts, strict=True) if not verdict.correct]
    assert wrong == []


@needs_corpora
@pytest.mark.parametrize("name", ["gsm8k", "math"])
def test_real_answers_do_not_verify_against_others(pool: VerifierPool, name: str) -> None:
    """Against the answers that follow, where the quick path says false; a sample is confirmed by math-verify below."""
    distinct = sorted(set(answers()[name]) - {""})[:: 1 if name == "gsm8k" else 3]
    pairs = [(one, other) for one, other in zip(distinct, distinct[1:] + distinct[:1], strict=True)]
    said = [(target, answer) for target, answer in pairs if quick(target, answer) is True]
    assert [pair for pair in said if not reference(*pair)] == []
    if name == "gsm8k":
        assert len(said) < 0.01 * len(pairs)


@needs_corpora
def test_the_quick_path_agrees_with_math_verify_on_real_answers() -> None:
    """Pairs of real answers, a third of them a digit apart; math-verify's own verdict is the expectation."""
    chance = random.Random(3)
    pool_of_answers = sorted((set(answers()["math"]) | set(answers()["deepmath"])) - {""})
    compared = 0
    for _ in range(250):
        target, answer = chance.sample(pool_of_answers, 2)
        if chance.random() < 0.4:
            answer = bench_verify.one_digit_off(target, chance)
        verdict = quick(target, answer)
        if verdict is None or any(
            mathematics._WORDS.fullmatch(mathematics._plain_words(text)) for text in (target, answer)
        ):
            continue
        target, answer = (mathematics._clean_target(text) for text in (target, answer))
        assert verdict == reference(target, answer) or differs_by_design(target, answer), (target, answer)
        compared += 1
    assert compared > 90


@needs_corpora
def test_verdicts_on_real_answers_differ_from_math_verify_s_only_by_design(pool: VerifierPool) -> None:
    """Real answers and the same with one digit off. Null (a time limit, an exception) is not compared."""
    chance = random.Random(4)
    real = sorted((set(answers()["math"]) | set(answers()["deepmath"])) - {""})
    pairs = [(target, bench_verify.one_digit_off(target, chance)) for target in chance.sample(real, 80)]
    pairs = [(target, answer) for target, answer in pairs if "=" not in target and "\\text" not in target]
    verdicts = pool.verify_many([(f"\\boxed{{{answer}}}", math(target)) for target, answer in pairs])
    differing = [
        (target, answer, verdict)
        for (target, answer), verdict in zip(pairs, verdicts, strict=True)
        if verdict.correct is not None
        and verdict.reason not in ("same text", "same words", "not the target's words")
        and not differs_by_design(target, answer)
        and verdict.correct != reference(target, answer)
    ]
    assert differing == []


@needs_corpora
def test_whole_responses_get_math_verify_s_verdicts(pool: VerifierPool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The benchmark's items (right, another problem's, a digit off) of GSM8K, MATH and DAPO, a sample of them."""
    monkeypatch.setattr(bench_verify, "CORPORA", CORPORA)
    library()
    for name, problems in bench_verify.math_answers().items():
        items = bench_verify.math_items(problems, 60)
        ours = [verdict.correct for verdict in pool.verify_many(items)]
        theirs = bench_verify.sequential_math_verify(items)
        assert ours == theirs, name
        assert 15 < sum(theirs) < 45, name


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 999), st.text(alphabet="abc .,!?:-'\n\t", max_size=80))
def test_words_after_a_wrong_answer_do_not_make_it_right(number: int, prose: str) -> None:
    for form in (f"\\boxed{{{number}}}", f"The answer is {number}.", f"#### {number}\n"):
        assert quick_response(f"{form} {prose} {number + 1}", str(number + 1)) is not True
        assert quick_response(f"{form} {prose}", str(number)) is True


def quick_response(response: str, target: str) -> bool | None:
    verdict = mathematics.quick(response, {"target": target}, VerifySettings())
    return None if verdict is None else verdict.correct


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.integers(-999, 999),
    st.text(alphabet=" \t\n", max_size=5),
    st.sampled_from(["\\boxed{%s}", "Answer: $%s$", "**Answer**: %s"]),
)
def test_white_space_does_not_matter(number: int, space: str, form: str) -> None:
    response = space + form % f"{space.replace(chr(10), ' ')}{number}" + space
    assert quick_response(response, str(number)) is True
    assert quick_response(response, str(number + 1)) is False


@needs_corpora
def test_gsm8k_solutions_as_they_are_written(pool: VerifierPool) -> None:
    rows = json_lines("gsm8k/test.jsonl")
    items = [(row["answer"], math(row["answer"])) for row in rows]
    assert all(verdict.correct for verdict in pool.verify_many(items))
    neighbours = list(pairwise(row["answer"] for row in rows))
    verdicts = pool.verify_many([(response, math(target)) for response, target in neighbours])
    same = [one.split("####")[1] == other.split("####")[1] for one, other in neighbours]
    assert [verdict.correct for verdict in verdicts] == same
