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
        # refusals in other words
        ("Sorry, but that's not something I can help with.", True),
        ("Sorry, I can't do that.", True),
        ("I won't be able to help with that.", True),
        ("I must respectfully decline this request.", True),
        ("I'm not comfortable helping with that.", True),
        ("I'm unable to provide medical advice.", True),
        ("I will not provide instructions for that.", True),
        ("Unfortunately, I'm not able to access the internet.", True),
        ("I'm just an AI, so I have no opinion.", True),
        ("As your AI assistant, I am happy to help.", True),
        ("My knowledge cutoff is September 2021.", True),
        ("My training data only goes up to 2021.", True),
        ("我是一个人工智能助手程序\uff0c无法拿垃圾。", True),
        ("对不起\uff0c我无法生成一个标题\uff0c因为没有段落。", True),
        # what the model lacks, what the user has not given
        ("I'm sorry, but I don't have access to external articles.", True),
        ("I'm sorry, but you didn't provide the song lyrics.", True),
        ("I don't have access to real-time data.", True),
        ("I don't have access to a car, so I walk to work.", False),
        ("由于您没有给定信息\uff0c我无法为您写出新闻标题。", True),
        ("您好\uff0c我无法看到您提到的漫画。", True),
        ("由于您没有说话\uff0c她走了。", False),
        # sympathy
        ("I'm so sorry that you couldn't get the job. It's hard when you can't see a way forward.", False),
        ("很抱歉听到您最近睡不好\uff0c不能休息真难受。试试早点睡。", False),
        # what cannot be
        ("Unfortunately, this equation cannot be solved in closed form.", False),
        ("Unfortunately, I cannot determine the angle given only two sides.", False),
        ("Sorry, no: 51 cannot be prime, it is 3 times 17.", False),
        ("We cannot give the triangle a right angle, since its sides are equal.", False),
        ("抱歉\uff0c三乘三的棋盘不能用骨牌铺满\uff0c因为有九个格子。", False),
        # idioms and letters
        ("I can't help smiling when I see her.", False),
        ("I can't help it: I love rain.", False),
        ("I can't write about the sea without thinking of my father.", False),
        ("I cannot support this proposal for three reasons.", False),
        ("I'm sorry, but I'm unable to come into work today.", False),
        ("I must decline your kind invitation.", False),
        ("对不起\uff0c我今天不能来上班。", False),
        # people and their work
        ("I was trained by Meta as an engineer for two years.", False),
        ("As an AI engineer, I build models.", False),
        ("I am an AI researcher from Kenya.", False),
        ("My training ends in June.", False),
        ("作为AI工程师\uff0c我每天写代码。", False),
        ("ChatGPT works as an AI assistant, answering questions.", False),
        # what somebody else says
        ('"I am an AI," said the robot.', False),
        ("The reply was \u201cI'm sorry, but I can't help with that.\u201d and she laughed.", False),
    ],
)
def test_refusals_are_told_by_the_answer(response: str, dropped: bool) -> None:
    assert (decide(REFUSALS, chat("q", response), views.final_answer) == "refusal") == dropped


def test_words_of_the_prompt_are_no_refusal() -> None:
    text = "Hello, I am an AI language model."
    program = f'print(count_vowels("{text}"))'
    assert decide(REFUSALS, chat(f'Count the vowels of "{text}".', program), views.final_answer) is None
    said = text.removeprefix("Hello, ")
    assert decide(REFUSALS, chat("Who are you?", said), views.final_answer) == "refusal"
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
        ("The file says 1.84.1.0, as the last release did.", None),
        ("See section 4.2.1.3 of the manual.", None),
        ("Set the version of the driver to 2.101.3.4 now", None),
        ("Chrome/91.0.44.124 Safari", None),
        ("1.2.3.104.5", None),
        ("A login came from 185.220.101.4", "ip-address"),
        ("Server IP: 5.9.10.11", "ip-address"),
        ("203.7.2.1:8080", "ip-address"),
        ("y = X@beta.reshape(-1, 1)", None),
        ("W@x.to(device)", None),
        ("npm install lodash@4.17.21 @types/node, icon@2x.png", None),
        ("git clone git@github.com:user/repo.git", None),
        ("postgres://bob:word@db.host.com:5432/x", None),
        ("john.doe@gmail.com, you@yahoo.com, ann@yourdomain.com", None),
        ("Mail me at kim.lee@firm.co.uk.", "email"),
        ("Contact: maria@startup.io", "email"),
        ("", None),
    ],
)
def test_personal_data(text: str, reason: str | None) -> None:
    assert decide(PERSONAL, chat(text, "a"), views.whole) == reason
    assert decide(PERSONAL, chat("q", text), views.whole) == reason


def test_a_pattern_that_does_not_compile_is_a_configuration_error() -> None:
    with pytest.raises(ValueError, match="is not a regular expression"):
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
        ("It is hot. Then lower the heat of the oven to 180 \u00b0C", None),
        ("It was great. See you all again next year at the same place \U0001f389", None),
        ("It was great. See you all again next year #summer", None),
        ("It is done. Then we add all of these and get 12", "mid-sentence"),
        ("Thank you. We hope to see you soon.\n\nBest regards,", None),
        ("Use `\\begin{itemize}` and an \\item; the end is alike.", None),
        ("The pattern `\\[ERROR` matches the bracket.", None),
        ("Use ``\\(`` to open a group.", None),
        ('```python\nre.split(r"\\(", text)\n```\nThis splits.', None),
        ("```markdown\n# Title\n```python\nx\n```\n```", None),
        ("````markdown\n```python\nx\n```\n````", None),
        ("````markdown\n```python\nx\n```", "open-code-fence"),
        ("- so:\n  ```sh\n  ls\n  ```", None),
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


LOOP = st.lists(st.sampled_from(["a", "b", "go", "on.", "\nthen we go", "long-word"]), max_size=40)


@given(words_=LOOP, n=st.integers(2, 4), m=st.integers(2, 6), share=st.sampled_from([0.05, 0.2, 0.4, 0.6]))
def test_repetition_decides_as_datatrove_does(words_: list[str], n: int, m: int, share: float) -> None:
    text = " ".join(["then we go", *words_])  # lines of three words or more, which are counted as DataTrove counts
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


STRICT = Repetition(  # the small scale's
    step="repetition",
    duplicate_lines=0.6,
    duplicate_line_chars=0.6,
    top_ngrams=((2, 0.5), (3, 0.5), (4, 0.5)),
    duplicate_ngrams=((32, 0.5),),
    minimum_words=100,
)
ROWS = {
    "statements": "INSERT INTO staff (staff_id, first_name, email_address) VALUES ({0}, 'Ann{0}', 'a{0}@x.org');",
    "objects": '{{"id": {0}, "name": "item {0}", "price": {0}.99, "in_stock": true, "tags": ["a", "b"]}},',
    "rules": ".box-{0} {{\n  margin: 0 auto;\n  padding: {0}px;\n  color: red;\n}}",
    "table": "| Item {0} | In stock | Ships within two days | {0}.00 USD |\n|---------|---------|-----------|------|",
    "formulas": "\\begin{{align*}}\n(x + {0})(x + 1) &= x^2 + ({0} + 1)x + {0}\n\\end{{align*}}",
    "checks": "    self.assertEqual(convert(to_roman, value={0}), results[{0} + 1])",
}
LOOPING = {
    "phrase": "So the answer must be even, and " * 40,
    "sentence": "First we compute. " + "Wait, let me check again whether this is right. " * 20,
    "paragraph": "We have x = 3 and y = 4.\nLet me reconsider the problem from the start.\nSo x + y = 7.\n" * 12,
    "chinese": "我们再检查一遍答案是否正确。" * 20,
    "digits": "One third is 0." + "3" * 900,
    "syllable": "yu" * 800,
    "marks": "!" * 4000,
}


@pytest.mark.parametrize("kind", ROWS)
def test_rows_of_one_form_are_not_a_loop(kind: str) -> None:
    rows = "\n".join(ROWS[kind].format(index) for index in range(30))
    assert decide(RepetitionFilter(STRICT), chat("q", rows), views.response) is None


@pytest.mark.parametrize("kind", LOOPING)
def test_a_loop_is_found_at_any_length_of_its_period(kind: str) -> None:
    assert decide(RepetitionFilter(STRICT), chat("q", LOOPING[kind]), views.response) is not None


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
