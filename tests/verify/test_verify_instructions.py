"""Instructions: each constraint type, IFEval's own data, a second implementation, no chance and no download."""

from __future__ import annotations

import json
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from verifiers import CORPORA, instructions, json_lines, needs_corpora

from scripts.verify import AnswerError, VerifierPool, VerifySettings, language, sentences
from scripts.verify import instructions as verifier

STRICT, LOOSE = VerifySettings(), VerifySettings(instructions_mode="loose")
TWO_PARAGRAPHS = "One two three.\n\nFour five six."

# (constraint, arguments, a response that follows it, one that does not): every one of IFEval's 25
CASES: list[tuple[str, dict[str, Any], str, str]] = [
    ("keywords:existence", {"keywords": ["sun", "moon"]}, "Sun and moon.", "Sun alone."),
    ("keywords:frequency", {"keyword": "sun", "frequency": 2, "relation": "at least"}, "sun, sun", "sun"),
    ("keywords:forbidden_words", {"forbidden_words": ["rain"]}, "trains", "The rain."),
    ("keywords:letter_frequency", {"letter": "z", "let_frequency": 2, "let_relation": "less than"}, "z", "zz"),
    (
        "language:response_language",
        {"language": "de"},
        "Das ist ein ganz einfacher Satz.",
        "This is a simple sentence.",
    ),
    ("length_constraints:number_sentences", {"num_sentences": 2, "relation": "less than"}, "Mr. Fox ran.", "One. Two."),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "One.\n***\nTwo.", "One."),
    ("length_constraints:number_words", {"num_words": 3, "relation": "at least"}, "one two three", "one two"),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "four"},
        TWO_PARAGRAPHS,
        TWO_PARAGRAPHS.replace("Four", "Five"),
    ),
    ("detectable_content:number_placeholders", {"num_placeholders": 1}, "Dear [name],", "Dear name,"),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "Bye.\nP.S. More.", "Bye."),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "* one\n* two", "* one"),
    ("detectable_format:constrained_response", {}, "My answer is yes.", "Yes."),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 1}, "a *b* c", "a b c"),
    (
        "detectable_format:multiple_sections",
        {"section_spliter": "Section", "num_sections": 2},
        "Section 1 a\nSection 2 b",
        "a",
    ),
    ("detectable_format:json_format", {}, '```json\n{"a": 1}\n```', "a: 1"),
    ("detectable_format:title", {}, "<<A title>>\ntext", "A title\ntext"),
    ("combination:two_responses", {}, "one\n******\ntwo", "one\ntwo"),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Say it."}, "Say it. Yes.", "Yes. Say it."),
    ("startend:end_checker", {"end_phrase": "That is all."}, "Words. That is all.", "That is all. Words."),
    ("startend:quotation", {}, '"quoted"', "quoted"),
    (
        "change_case:capital_word_frequency",
        {"capital_frequency": 2, "capital_relation": "at least"},
        "THE SUN is",
        "The SUN is",
    ),
    ("change_case:english_capital", {}, "THIS IS A SIMPLE SENTENCE IN ENGLISH.", "This is a simple sentence."),
    ("change_case:english_lowercase", {}, "this is a simple sentence in english.", "This is a simple sentence."),
    ("punctuation:no_comma", {}, "one and two", "one, two"),
]


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_each_constraint_type(pool: VerifierPool, case: tuple[str, dict[str, Any], str, str]) -> None:
    name, arguments, good, bad = case
    answer = instructions((name, arguments))
    assert pool.verify(good, answer).correct is True
    verdict = pool.verify(bad, answer)
    assert (verdict.correct, verdict.reason) == (False, f"not followed: {name}")
    assert pool.verify(f"<think>{good}</think>{bad}", answer).correct is False
    assert pool.verify("", answer).correct is False


def test_all_types_of_the_library_are_covered() -> None:
    assert {case[0] for case in CASES} == set(verifier.registry())
    assert len(CASES) == 25


def test_all_constraints_must_hold(pool: VerifierPool) -> None:
    answer = instructions(("punctuation:no_comma", {}), ("startend:quotation", {}))
    assert pool.verify('"a b"', answer).correct is True
    assert pool.verify('"a, b"', answer).correct is False


def test_loose_forgives_a_first_and_a_last_line_and_asterisks() -> None:
    spec = instructions(("startend:quotation", {})).spec
    for text in ('Sure:\n"a"', '"a"\nBye', 'Sure:\n"a"\nBye', '*"a"*'):
        assert verifier.follow(text, spec, STRICT) == [False]
        assert verifier.follow(text, spec, LOOSE) == [True]
    assert verifier.follow("a", spec, LOOSE) == [False]


def test_null_arguments_are_dropped_and_a_zero_is_kept() -> None:
    name = "keywords:letter_frequency"
    given = {"letter": "z", "let_frequency": 0, "let_relation": "at least", "num_words": None}
    assert verifier.follow("no such letter", instructions((name, given)).spec, STRICT) == [True]


DRAWN = [
    ("length_constraints:number_words", {"num_words": -1, "relation": "at least"}),
    ("length_constraints:number_sentences", {"num_sentences": -1, "relation": "at least"}),
    ("length_constraints:number_paragraphs", {"num_paragraphs": -1}),
    ("length_constraints:nth_paragraph_first_word", {"num_paragraphs": 2, "nth_paragraph": 3, "first_word": "a"}),
    ("length_constraints:nth_paragraph_first_word", {"num_paragraphs": 2, "nth_paragraph": 0, "first_word": "a"}),
    ("keywords:existence", {"keywords": []}),
    ("keywords:forbidden_words", {"forbidden_words": []}),
    ("keywords:frequency", {"keyword": "", "frequency": 1, "relation": "at least"}),
    ("keywords:frequency", {"keyword": "a", "frequency": -1, "relation": "at least"}),
    ("keywords:letter_frequency", {"letter": "ab", "let_frequency": 1, "let_relation": "at least"}),
    ("keywords:letter_frequency", {"letter": "", "let_frequency": 1, "let_relation": "at least"}),
    ("detectable_content:number_placeholders", {"num_placeholders": -1}),
    ("detectable_format:number_bullet_lists", {"num_bullets": -1}),
    ("detectable_format:number_highlighted_sections", {"num_highlights": -1}),
    ("detectable_format:multiple_sections", {"section_spliter": "Part", "num_sections": -1}),
]


@pytest.mark.parametrize(("name", "given"), DRAWN)
def test_an_argument_that_ifeval_s_code_would_replace_at_random_is_refused(name: str, given: dict[str, Any]) -> None:
    for _ in range(20):  # a draw may hit upon the very value that it replaces
        with pytest.raises(AnswerError, match="at random"):
            verifier.follow("A response.", instructions((name, given)).spec, STRICT)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("keywords:existence", {"keywords": "sun"}),
        ("keywords:existence", {"keywords": [3]}),
        ("keywords:existence", {"keywords": ["("]}),
        ("keywords:forbidden_words", {"forbidden_words": "rain"}),
        ("length_constraints:number_words", {"num_words": "3", "relation": "at least"}),
        ("length_constraints:number_words", {"num_words": 3, "relation": "about"}),
        ("punctuation:no_comma", {"language": "en"}),
        ("language:response_language", {"language": "xx"}),
        (["punctuation:no_comma"], {}),
        (5, {}),
        ("punctuation:no_comma", [1]),
    ],
)
def test_arguments_that_do_not_fit_are_refused(name: Any, given: Any) -> None:
    with pytest.raises(AnswerError):
        verifier.follow("A response.", {"instruction_id_list": [name], "kwargs": [given]}, STRICT)


def test_a_letter_that_is_none_of_a_to_z_is_counted_and_not_drawn() -> None:
    """Prompt 1122 of IFEval wants four `#`; Google's code would count a random letter instead."""
    given = {"letter": "#", "let_frequency": 4, "let_relation": "at least"}
    spec = instructions(("keywords:letter_frequency", given)).spec
    for _ in range(20):
        assert verifier.follow("# e # e # e # e", spec, STRICT) == [True]
        assert verifier.follow("every letter but this: abcdefghijklmnopqrstuvwxyz " * 9, spec, STRICT) == [False]


def test_language_detection_is_the_same_every_time() -> None:
    """A text on which langdetect without a seed wavers."""
    text = "Hotel Restaurant Bar 12 Euro"
    found = set()
    for _ in range(30):
        language.detect.cache_clear()
        found.add(language.detect(text))
    assert len(found) == 1


@needs_corpora
def test_language_detection_is_langdetect_s_to_the_last_bit() -> None:
    """Languages and their probabilities, of every fifth real response."""
    from langdetect import LangDetectException, detector_factory

    detector_factory.init_factory()

    def found(detector: Any) -> list[tuple[str, float]] | str:
        try:
            return [(each.lang, each.prob) for each in detector.get_probabilities()]
        except LangDetectException as error:
            return str(error)

    texts = [*real_responses()[::5], "12 !", ""]
    for text in texts:
        theirs = detector_factory._factory.create()
        theirs.seed = 0
        theirs.append(text)
        assert found(language.detector_of(text)) == found(theirs), text


@pytest.mark.parametrize(
    ("text", "count"),
    [
        # NLTK's documentation of its own English parameters
        (
            "Punkt knows that the periods in Mr. Smith and Johann S. Bach\ndo not mark sentence boundaries.  And "
            "sometimes sentences\ncan start with non-capitalized words.  i is a good variable\nname.",
            3,
        ),
        (
            '(How does it deal with this parenthesis?)  "It should be part of the\nprevious sentence." "(And the same '
            "with this one.)\" ('And this one!')\n\"('(And (this)) '?)\" [(and this. )]",
            6,
        ),
        ("Good muffins cost $3.88 (roughly 3,36 euros)\nin New York.  Please buy me\ntwo of them.  Thanks.", 3),
        ("", 0),
        ("No full stop", 1),
        ("Dr. Jones lives in the U.S. She works.", 2),
        ("It costs 3.50 dollars. Really? Yes!", 3),
        ("Wait... what? Oh.", 2),
        ("See you at 5 p.m. on Jan. 5.", 1),
    ],
)
def test_sentences(text: str, count: int) -> None:
    assert sentences.count_sentences(text) == count


def test_words_are_nltk_s() -> None:
    """The example of NLTK's documentation."""
    words = sentences.word_tokenize("Good muffins cost $3.88\nin New York.  Please buy me\ntwo of them.\n\nThanks.")
    expected = "Good muffins cost $ 3.88 in New York . Please buy me two of them . Thanks ."
    assert words == expected.split()


def test_nothing_is_downloaded_and_no_heavy_package_is_loaded() -> None:
    """With every connection refused, in a fresh process."""
    script = (
        "import socket, sys\n"
        "def refuse(*arguments, **named): raise SystemExit('a connection was tried')\n"
        "socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse\n"
        "from scripts.verify import instructions\n"
        "instructions.load()\n"
        "print(sorted({'nltk', 'lm_eval', 'torch', 'transformers', 'scipy'} & set(sys.modules)))\n"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert (done.stdout, done.stderr, done.returncode) == ("[]\n", "", 0)


def test_what_others_loaded_of_lm_eval_is_neither_used_nor_lost() -> None:
    """In a fresh process where checkers lie that know nothing of our tokenizers."""
    script = (
        "import sys, types\n"
        "loaded = types.ModuleType('lm_eval.tasks.ifeval.instructions_registry')\n"
        "sys.modules[loaded.__name__] = loaded\n"
        "from scripts.verify import instructions\n"
        "assert len(instructions.registry()) == 25\n"
        "assert sys.modules[loaded.__name__] is loaded\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[2], check=True)


@pytest.fixture(scope="module")
def evalscope() -> types.ModuleType:
    """The second implementation: evalscope's checkers and scoring functions, with the sentence tokenizer of ours."""
    import langdetect

    langdetect.DetectorFactory.seed = 0
    names = ("evalscope", "evalscope.utils", "evalscope.utils.resource_utils", "nltk")
    stand_ins = {name: types.ModuleType(name) for name in names}
    stand_ins["evalscope.utils.resource_utils"].__dict__["check_nltk_data"] = lambda name: None
    stand_ins["nltk"].__dict__.update(
        tokenize=types.SimpleNamespace(RegexpTokenizer=sentences.RegexpTokenizer), word_tokenize=sentences.word_tokenize
    )
    archive = str(Path(__file__).parent / "reference" / "evalscope_ifeval.zip")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(archive)
        for name, module in stand_ins.items():
            patch.setitem(sys.modules, name, module)
        from evalscope_ifeval import instructions_util, utils  # type: ignore[import-not-found]
    instructions_util.count_sentences = sentences.count_sentences
    return utils  # type: ignore[no-any-return]


def real_responses() -> list[str]:
    """Answers of an English instruction set and of T0's completions, and edits of them that constraints ask for."""
    alpaca = [row["output"] for row in json.loads((CORPORA / "alpaca_demo/alpaca_en_demo.json").read_text())]
    chinese = [row["output"] for row in json.loads((CORPORA / "alpaca_demo/alpaca_zh_demo.json").read_text())][:100]
    edits = [f'"{text}"' for text in alpaca[:150]] + [text.replace(",", "") for text in alpaca[150:300]]
    edits += [text.lower() for text in alpaca[300:400]] + [text.upper() for text in alpaca[400:500]]
    edits += [f"<<Title>>\n\n{text}\n\nP.S. *One* *two*" for text in alpaca[500:700]]
    return [text for text in alpaca + chinese + edits if text]


@needs_corpora
def test_a_second_implementation_gives_the_same_verdicts(evalscope: types.ModuleType) -> None:
    """Every prompt of IFEval with four real responses, strict and loose, constraint by constraint."""
    prompts, responses = json_lines("ifeval/input_data.jsonl"), real_responses()
    differing, followed, constraints = [], 0, 0
    for index in range(4 * len(prompts)):
        prompt, response = prompts[index % len(prompts)], responses[index % len(responses)]
        example = evalscope.InputExample(
            key=prompt["key"],
            instruction_id_list=prompt["instruction_id_list"],
            prompt=prompt["prompt"],
            kwargs=prompt["kwargs"],
        )
        for settings, score in (
            (STRICT, evalscope.test_instruction_following_strict),
            (LOOSE, evalscope.test_instruction_following_loose),
        ):
            if settings is LOOSE and index % 4:
                continue  # eight readings of each response: a quarter is enough
            ours = verifier.follow(response, prompt, settings)
            theirs = score(example, response).follow_instruction_list
            followed, constraints = followed + sum(ours), constraints + len(ours)
            pairs = zip(prompt["instruction_id_list"], prompt["kwargs"], ours, theirs, strict=True)
            differing += [(name, given) for name, given, a, b in pairs if a != b and not _drawn_at_random(given)]
    assert differing == []
    assert 0.1 < followed / constraints < 0.9
    assert constraints > 3000


def _drawn_at_random(given: dict[str, Any]) -> bool:
    """Google's code, and evalscope's, counts a random letter where it is told to count `#` (prompt 1122)."""
    return not (given.get("letter") or "a").isalpha()


@needs_corpora
def test_every_prompt_of_ifeval_can_be_verified(pool: VerifierPool) -> None:
    rows = json_lines("ifeval/input_data.jsonl")
    answers = [instructions(*zip(row["instruction_id_list"], row["kwargs"], strict=True)) for row in rows]
    verdicts = pool.verify_many([("A response.", answer) for answer in answers])
    assert [row["key"] for row, verdict in zip(rows, verdicts, strict=True) if verdict.correct is None] == []
