"""The decisions of the per-record filters on hand-written records."""

from __future__ import annotations

import pytest
from curation import chat, decide, record
from datatrove.data import Document
from datatrove.pipeline.filters.gopher_repetition_filter import GopherRepetitionFilter
from hypothesis import given
from hypothesis import strategies as st

from scripts.curate import views
from scripts.curate.format import FormatFilter
from scripts.curate.length import LengthFilter
from scripts.curate.pii import PiiFilter
from scripts.curate.refusal import RefusalFilter
from scripts.curate.repetition import RepetitionFilter
from scripts.curate.settings.format import Format
from scripts.curate.settings.length import Length
from scripts.curate.settings.pii import Pii
from scripts.curate.settings.refusal import Refusal
from scripts.curate.settings.repetition import Repetition
from scripts.curate.settings.truncation import Truncation
from scripts.curate.truncation import TruncationFilter
from scripts.curate.words import RegexTokenizer, normalise, words

SFT = FormatFilter(Format(step="format", last_role="assistant"))
RL = FormatFilter(Format(step="format", last_role="user"))
USER, ASSISTANT = {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}
SYSTEM = {"role": "system", "content": "be brief"}


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([USER, ASSISTANT], None),
        ([SYSTEM, USER, ASSISTANT, USER, ASSISTANT], None),
        (None, "no-messages"),
        ([], "no-messages"),
        ([None, ASSISTANT], "unknown-role"),
        ([{"role": "human", "content": "q"}, ASSISTANT], "unknown-role"),
        ([USER, {"role": None, "content": "a"}], "unknown-role"),
        ([USER, {"role": "assistant", "content": None}], "empty-message"),
        ([USER, {"role": "assistant", "content": " \n"}], "empty-message"),
        ([USER], "ends-with-user"),
        ([SYSTEM], "role-order"),
        ([USER, USER, ASSISTANT], "role-order"),
        ([ASSISTANT, USER, ASSISTANT], "role-order"),
        ([USER, SYSTEM, ASSISTANT], "role-order"),
        ([USER, ASSISTANT, ASSISTANT], "role-order"),
    ],
)
def test_format_accepts_only_conversations(messages: list[dict[str, str]] | None, reason: str | None) -> None:
    assert decide(SFT, record(messages), views.whole) == reason


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ("<think>\n2 + 2 = 4\n</think>\n\n4", None),
        ("<think>2 + 2", "unclosed-thinking"),
        ("2 + 2</think>4", "unclosed-thinking"),
        ("<think>\n\n</think>\n\n4", "empty-thinking"),
        ("<think>2 + 2 = 4</think>\n", "no-answer-after-thinking"),
        ("Well. <think>2 + 2</think>4", "misplaced-thinking"),
        ("<think>a</think><think>b</think>4", "misplaced-thinking"),
        ("4<|im_end|>", "control-token"),
        ("4 \ufffd", "damaged-encoding"),
        ("4\x00", "damaged-encoding"),
        ("It\u00e2\u20ac\u2122s 4", "mojibake"),
        ("He lives in L\u00c3\u00bcbeck.", "mojibake"),
        ("He lives in L\u00fcbeck \u2013 it\u2019s 20\u00a0\u20ac, na\u00efve \u03b1 \u2264 \u03b2 \u4f60\u597d", None),
        ("tab\tand\r\nline", None),
    ],
)
def test_format_of_thinking_and_text(response: str, reason: str | None) -> None:
    assert decide(SFT, chat("q", response), views.whole) == reason


@pytest.mark.parametrize("tag", ["<think>", "</think>"])
def test_a_question_about_thinking_tags_is_no_thinking(tag: str) -> None:
    asked = [{"role": "system", "content": f"Never write {tag}."}, {"role": "user", "content": f"What is {tag}?"}]
    answered = {"role": "assistant", "content": "<think>\nA tag.\n</think>\n\nA tag of reasoning models."}
    assert decide(SFT, record([*asked, answered]), views.whole) is None
    assert decide(RL, record(asked), views.whole) is None
    copied = {"role": "assistant", "content": f"It is {tag}."}
    assert decide(SFT, record([*asked, copied]), views.whole) == "unclosed-thinking"


def test_a_prompt_pool_wants_prompts() -> None:
    assert decide(RL, chat("q"), views.whole) is None
    assert decide(RL, chat("q", "a"), views.whole) == "ends-with-assistant"


def test_length_by_domain_counts_prompt_and_response() -> None:
    block = LengthFilter(Length(step="length", minimum=3, maximum=5, maximum_by_domain={"code": 7}))
    assert decide(block, chat("a b", "c"), views.whole) is None  # 3
    assert decide(block, chat("a", "b"), views.whole) == "too-short"  # 2
    assert decide(block, chat("a b c", "d e f"), views.whole) == "too-long"  # 6
    assert decide(block, chat("a b c", "d e f", domain="code"), views.whole) is None
    assert decide(block, chat("a b c d", "e f g h", domain="code"), views.whole) == "too-long"


REFUSALS = RefusalFilter(Refusal(step="refusal"))


@pytest.mark.parametrize(
    ("response", "dropped"),
    [
        ("I'm sorry, but I can't help with that.", True),
        ("I\u2019m sorry, but I can\u2019t help with that.", True),
        ("I cannot assist with this request.", True),
        ("Unfortunately, I am unable to answer.", True),
        ("As an AI language model, I have no feelings.", True),
        ("I was trained by OpenAI.", True),
        ("\u62b1\u6b49\uff0c\u6211\u4e0d\u80fd\u56de\u7b54\u3002", True),
        ("很抱歉\uff0c您没有提供文本。", True),
        ("很抱歉听到你这么说。你可以告诉我更多。", False),
        ("作为一个大型语言模型\uff0c我没有感情。", True),
        ("<think>I cannot help it.</think>The answer is 4.", False),
        ("The cat can't swim, I am sorry to say.", False),
        ("AI stands for artificial intelligence.", False),
        ("Sorry seems to be the hardest word.", False),
    ],
)
def test_refusals_are_told_by_the_answer(response: str, dropped: bool) -> None:
    assert (decide(REFUSALS, chat("q", response), views.final_answer) == "refusal") == dropped


def test_words_of_the_prompt_are_no_refusal() -> None:
    text = "Hello, I am an AI language model."
    program = f'print(count_vowels("{text}"))'
    assert decide(REFUSALS, chat(f'Count the vowels of "{text}".', program), views.final_answer) is None
    assert decide(REFUSALS, chat("Count the vowels.", program), views.final_answer) == "refusal"
    both = f"{program}\n\nAs an AI, I cannot run it."
    assert decide(REFUSALS, chat(f'Count the vowels of "{text}".', both), views.final_answer) == "refusal"


PERSONAL = PiiFilter(Pii(step="pii"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Write to tom.b+news@mail.co.uk today", "email"),
        ("mailto:ann@sub.gmail.com", "email"),
        ("Write to tom@example.com or ann@mail.example.org.", None),
        ("user@host.test and me@my.localhost", None),
        ("user@example.com.br", "email"),
        ("tom@example.com, ann@gmail.com", "email"),  # not only the first one is looked at
        ("@decorator\ndef f(a, b): return a @ b", None),
        ("The server is 8.8.4.4.", "ip-address"),
        ("127.0.0.1, 10.1.2.3, 192.168.0.7, 203.0.113.9", None),  # loopback, private, documentation
        ("Version 1.2.3, section 4.5.6", None),
        ("", None),
    ],
)
def test_personal_data(text: str, reason: str | None) -> None:
    assert decide(PERSONAL, chat(text, "a"), views.whole) == reason
    assert decide(PERSONAL, chat("q", text), views.whole) == reason


def test_a_pattern_that_does_not_compile_is_a_configuration_error() -> None:
    with pytest.raises(ValueError, match="is no regular expression"):
        Refusal(step="refusal", patterns=("(",))


TRUNCATED = TruncationFilter(Truncation(step="truncation", minimum_words=3, unpunctuated_words=9))


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ("Paris is the capital of France.", None),
        ("Paris is the capital of France", None),  # one sentence, never a full stop: a style, not a cut
        ("Paris is the capital of France, which is a country in the", "mid-sentence"),
        ("Paris is large. It is the capital of", "mid-sentence"),
        ("It rains.\nSo take an umbrella and", "mid-sentence"),
        ("It rains. Take:\n- an umbrella\n- a coat", None),
        ("Sum them. Answer: 42", None),
        ("We add 2 and 3. The result is \\boxed{5}", None),
        ("We add 2 and 3. The result is \\boxed{5", "open-formula"),
        ("2 + 3 = \\boxe", "open-formula"),
        ("So \\( a + b", "open-formula"),
        ("\\[\\begin{aligned} a &= b \\\\[6pt] &= c \\end{aligned}\\]", None),
        ("\\[ a \\\\(b+c) \\]", None),
        ("\\begin{aligned} a &= b \\\\[6pt] &= c", "open-formula"),
        ("\\[ a \\\\[6pt] \\\\\\[ b \\]", "open-formula"),  # a row's end before an opening
        ("\\boxed{\\left\\{1, 2\\right.}", None),
        ("\\boxed{\\left\\{1, 2\\right\\}", "open-formula"),
        ("\\boxed{a \\\\{b}}", None),  # a row's end before a group
        ("```python\ndef f(x):\n    return x\n```", None),
        ("```python\ndef f(x):\n    return", "open-code-fence"),
        ("~~~markdown\n```python\n~~~", None),
        ("~~~markdown\n```\nf()\n```", "open-code-fence"),
        ("Numbers: 1, 2,", "mid-sentence"),
        ("#!/bin/sh\n\nfind . -type f -print", None),
        ("It is there. See https://example.org/a/b", None),
        ("Use the formula. So we get\n\n(210 - 32) * 5/9 = 98.9\u00b0C", None),
        ("\u4e0b\u96e8\u4e86\u3002\u6211\u4eec\u53bb", "mid-sentence"),
        ("<think>First this. Then that one", "mid-sentence"),
        ("<think>Cut? No. Then that</think>42", None),
        ("", None),
    ],
)
def test_truncation(response: str, reason: str | None) -> None:
    assert decide(TRUNCATED, chat("q", response), views.final_answer) == reason


def test_a_bare_program_has_no_last_sentence() -> None:
    program = "#!/bin/bash\n# Delete logs. No questions.\nfind . -type f -name '*.log' -exec rm -f {} +"
    assert decide(TRUNCATED, chat("q", program), views.final_answer) == "mid-sentence"
    assert decide(TRUNCATED, chat("q", program, domain="code"), views.final_answer) is None
    prose = "Do this.\n\n```sh\nls\n```\n\nIt lists all files of the"
    assert decide(TRUNCATED, chat("q", prose, domain="code"), views.final_answer) == "mid-sentence"


LOOPS = RepetitionFilter(
    Repetition(
        step="repetition",
        duplicate_lines=0.5,
        duplicate_line_chars=0.4,
        top_ngrams=(),
        duplicate_ngrams=((5, 0.45), (10, 0.40)),
        minimum_words=15,
    )
)


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ("The answer is four.\n" * 6, "dup_line_frac"),
        ("and then we add one more to it " * 8, "duplicated_5_n_grams"),
        ("The answer is four. The answer is four.", None),  # ten words
        ("Add 2 and 3 to get 5. Then multiply by 4 to get 20. Take away 6, and 14 is left over.", None),
        ("", None),
    ],
)
def test_repetition(response: str, reason: str | None) -> None:
    assert decide(LOOPS, chat("q", response), views.response) == reason


LOOP = st.lists(st.sampled_from(["a", "b", "go", "on.", "\n", "long-word"]), max_size=40)


@given(words_=LOOP, n=st.integers(2, 4), m=st.integers(2, 6), share=st.sampled_from([0.05, 0.2, 0.4, 0.6]))
def test_repetition_decides_as_datatrove_does(words_: list[str], n: int, m: int, share: float) -> None:
    text = " ".join(words_)
    shares = {"top_ngrams": ((n, share), (n + 1, share)), "duplicate_ngrams": ((m, share), (m + 1, share))}
    asked = {
        "step": "repetition",
        "duplicate_lines": share,
        "duplicate_line_chars": share,
        "minimum_words": 0,
        **shares,
    }
    theirs = GopherRepetitionFilter(
        dup_line_frac=share,
        dup_para_frac=None,
        dup_line_char_frac=share,
        dup_para_char_frac=None,
        top_n_grams=shares["top_ngrams"],
        dup_n_grams=shares["duplicate_ngrams"],
        language=RegexTokenizer(),
    )
    document = Document(text=text, id="0")
    assert RepetitionFilter(Repetition.model_validate(asked)).filter(document) == theirs.filter(document)


def test_a_prompt_alone_does_not_repeat_itself() -> None:
    assert decide(LOOPS, chat("tick tock " * 50), views.response) is None


def test_words() -> None:
    assert words("x_1 = 3.5, na\u00efve! \u4f60\u597d") == [
        *("x", "_", "1", "=", "3", ".", "5", ",", "na\u00efve", "!", "\u4f60", "\u597d")
    ]
    assert normalise("  \uff21 b\n\tC ") == "a b c"
    assert RegexTokenizer().sent_tokenize("One. Two!\nThree") == ["One.", " Two!", "Three"]


def test_nulls_read_as_empty() -> None:
    row = record([None, {"role": None, "content": None}, {"role": "assistant", "content": "a"}])
    assert (views.prompt(row), views.response(row), views.whole(row)) == ("", "a", "a")
    assert views.whole(record(None)) == ""
