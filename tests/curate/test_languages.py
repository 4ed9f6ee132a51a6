"""Languages: fastText's public model on prepared text, and the filter that asks it."""

# ruff: noqa: RUF001 (texts in other scripts)

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from curation import chat, decide, dropped, job, record

from scripts.curate import views
from scripts.curate.language import HIT, LanguageFilter
from scripts.curate.languages import MODEL, UnknownLanguageError, check_languages, foreign, letters, prepared
from scripts.curate.settings.language import Language
from scripts.sources.foreign import FOREIGN

ENGLISH = Language(step="language", keep=("en",), threshold=0.2, minimum_letters=15)
LANGUAGES = ("en", "zh")


def language_of(text: str) -> str | None:
    found = foreign(text, LANGUAGES, threshold=0.2, minimum_letters=20)
    return found.language if found else None


def test_the_model_is_the_public_one() -> None:
    digest = hashlib.sha256(MODEL.read_bytes()).hexdigest()
    assert digest == "8f3472cfe8738a7b6099e8e999c3cbfae0dcd15696aac7d7738a8039db603e83"
    assert digest in (MODEL.parent / "README.md").read_text()


@pytest.mark.parametrize(
    ("prompt", "response", "reason"),
    [
        ("What does the owl eat in the winter?", "It eats the small animals that live near the house.", None),
        ("Was frisst die Eule im Winter?", "Sie frisst Mäuse und kleine Vögel.", "prompt-language"),
        ("What does the owl eat in the winter?", "Elle mange des souris et de petits oiseaux.", "response-language"),
        ("What does the owl eat in the winter?", "它吃老鼠和小鸟\uff0c有时也吃昆虫。", "response-language"),
        ("12 + 30 = ?", "42", None),
        (
            "Write a function that adds two numbers.",
            "```python\ndef summe(zahl, wert):\n    return zahl + wert\n```",
            None,
        ),
        (None, None, None),
    ],
)
def test_the_filter_judges_prompt_and_response(prompt: str | None, response: str | None, reason: str | None) -> None:
    assert decide(LanguageFilter(ENGLISH), chat(prompt, response), views.whole) == reason


def test_a_program_as_response_is_not_judged() -> None:
    german = "Die Funktion gibt die Summe der beiden Zahlen zurück, die der Benutzer eingibt."
    for domain, reason in (("code", None), ("math", "response-language")):
        row = chat("Add the two numbers that the user enters.", german, domain=domain)
        assert decide(LanguageFilter(ENGLISH), row, views.whole) == reason


def test_a_dropped_row_has_the_language_and_both_probabilities(tmp_path: Path) -> None:
    settings = ENGLISH.model_copy(update={"keep": ("en", "fr")})
    german = chat("Kannst du mir bitte sagen, warum der Himmel heute blau ist?", "Ja.")
    work = job(tmp_path, "language", [german, record(None)])
    counts = work.filter(LanguageFilter(settings), views.whole, hit=HIT)
    assert counts == {"in": 2, "kept": 1, "dropped": {"prompt-language": 1}}
    (row,) = dropped(work)
    assert row["language"] == "de" and 0.9 < row["probability"] <= 1.0 and row["kept_probability"] < 0.01


def test_an_unknown_language_is_named() -> None:
    check_languages(("en", "zh", "de"))
    with pytest.raises(UnknownLanguageError, match=r"\['english'\] are not labels of lid.176.ftz; it knows .*, en, "):
        LanguageFilter(ENGLISH.model_copy(update={"keep": ("english",)}))


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("ถามหน่อยครับ วันนี้อากาศเป็นอย่างไร", "th"),
        ("Τι καιρό κάνει σήμερα στην Αθήνα;", "el"),
        ("מה השעה עכשיו בירושלים?", "he"),
        ("আজকের আবহাওয়া কেমন?", "bn"),
        ("இன்று வானிலை எப்படி இருக்கிறது?", "ta"),
        ("रात का आसमान काला क्यों होता है?", "hi"),
        ("پاکستان کا دارالحکومت کیا ہے؟", "ur"),
        ("おはようございます", "ja"),
        ("서울의 인구는 얼마입니까?", "ko"),
        ("რა არის საქართველოს დედაქალაქი?", "ka"),
        ("Ո՞րն է Հայաստանի մայրաքաղաքը:", "hy"),
        ("የኢትዮጵያ ዋና ከተማ ማን ናት?", "am"),
        ("ПОЧЕМУ НЕБО ГОЛУБОЕ", "ru"),
        ("ERKLÄRE MIR BITTE, WARUM DER HIMMEL BLAU IST", "de"),
        ("Apa ibu kota negara Prancis?", "id"),
        ("Ano ang kabisera ng Pilipinas?", "tl"),
        ("Türkiye'nin başkenti neresidir?", "tr"),
        ("cual es la capital de francia", "es"),
        ("Kannst du `for i in range(10)` erklären? Ich verstehe nicht, was das bedeutet.", "de"),
        ("Resuelve la ecuación $x^2 - 3x + 2 = 0$ y explica cada paso.", "es"),
    ],
)
def test_other_languages_are_found_in_any_script_also_when_short(text: str, language: str) -> None:
    assert language_of(text) == language


@pytest.mark.parametrize(
    "text",
    [
        "PLEASE SUMMARIZE THE FOLLOWING ARTICLE IN THREE SENTENCES",
        "lol idk wat 2 do bout my hw tbh, u got any ideas?",
        "wat r u doin 2nite m8 wanna hang",
        "SELECT u.name, COUNT(o.id) FROM users u JOIN orders o ON o.user_id = u.id GROUP BY u.name",
        "CREATE TABLE users (id INT PRIMARY KEY, name VARCHAR(50) NOT NULL, created_at TIMESTAMP DEFAULT NOW());",
        "Evaluate $\\int_0^{\\pi} \\sin^3 x \\cos^2 x \\, dx$.",
        "Let $u = \\cos x$. Then $du = -\\sin x\\,dx$ and so $I = \\int_{-1}^{1} (1-u^2)u^2\\,du$.",
        "\\begin{align*} \\alpha &= \\beta + \\gamma \\\\ \\delta &= \\epsilon \\end{align*}",
        "sin(2x) = 2 sin(x) cos(x), cos(2x) = cos^2(x) - sin^2(x), tan(x) = sin(x)/cos(x)",
        "for (int i = 0; i < n; ++i) { std::cout << arr[i] << std::endl; }",
        "Oxygen, Hydrogen, Nitrogen, Carbon, Helium",
        "H2SO4 + 2 NaOH -> Na2SO4 + 2 H2O",
        '<div class="menu"><p>Hello</p></div>',
        "找出给定方程的二阶导数。\n\n输入：y = x^3 + 7x",
        "将句子“El agua es importante”翻译成英语。",
        "請問台北最有名的夜市是哪一個？",
        "按尺寸排列以下物品：iPhone iPad",
        "Explain 你好 and 谢谢 to a traveller who has never heard of either word.",
        "Je suis",  # eight letters
    ],
)
def test_kept_languages_pass_with_code_formulas_capitals_and_chat_spellings(text: str) -> None:
    assert language_of(text) is None


@pytest.mark.parametrize("text", [text for exchange in FOREIGN for text in exchange])
def test_the_planted_foreign_sentences_are_all_found(text: str) -> None:
    assert language_of(text) is not None


def test_the_threshold_is_a_ratio() -> None:
    """`Milano, Torino, ...` is Italian with 0.33 and English with 0.13: a ratio of 0.40."""
    names = "Milano, Torino, Napoli, Firenze, Palermo, Bologna, Genova, Venezia"
    assert foreign(names, LANGUAGES, threshold=0.35, minimum_letters=20) is None
    found = foreign(names, LANGUAGES, threshold=0.45, minimum_letters=20)
    assert found is not None and found.language == "it" and 0.35 < found.kept / found.probability < 0.45


def test_preparation() -> None:
    assert prepared("See `x` at https://a.b/c: 3 \\frac{a}{b}\n```py\nfür\n``` Größe!") == "see at a größe"
    assert prepared("From $5 to $7, I pay for $n$ of them") == "from to i pay for of them"
    assert prepared("u.name and COUNT(o.id), camelCase, f(x)=2; i+=1") == "and"
    assert prepared("U r right, don't go. x is i and a") == "you are right don't go is i and a"
    assert prepared("ab" * 3000) == "ab" * 2000
    assert letters("ab 你好") == 2 + 2 * 3 and letters("größe") == 5 and letters("мир") == 9
