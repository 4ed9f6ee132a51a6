"""Which language a text is in, by fastText's public model lid.176 (176 languages).

The model was trained on sentences of prose. So code, formulas, links and identifiers are removed before it is asked,
capitals are lowered, and a few spellings of chats are written out: without that it calls `TELL ME ABOUT THE STEAM
ENGINE` Italian. Two questions are answered by the script instead: a text of ideographs without kana is Chinese (the
model takes short Chinese for Japanese), and letters that are not Latin count three, since a few of them already
say in which languages a text cannot be.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fasttext.FastText import _FastText

MODEL = Path(__file__).parent / "data" / "lid.176.ftz"
LABEL = "__label__"
LENGTH = 4_000  # characters: more says nothing new about the language, and a message may have 10 MB
CHINESE = "zh"

NOT_PROSE = re.compile(
    r"""
      (?P<fence>```|~~~) .*? (?: (?P=fence) | \Z )
    | `[^`\n]*`
    | https?://\S+ | www\.\S+ | \S+@\S+
    | </?[a-zA-Z!][^<>\n]*>                                          # HTML
    | \$\$ .*? (?: \$\$ | \Z )
    | \$ (?=\S) [^$\n]*? (?<=\S) \$ (?!\d)                           # not the prices of `from $5 to $7`
    | \\\( .*? \\\) | \\\[ .*? \\\]
    | \\begin\{ (?P<math> (?: align | equation | gather | multline | eqnarray | array | tabular | cases | split
        | [a-zA-Z]?matrix ) \w*\*? ) \} .*? (?: \\end\{(?P=math)\} | \Z )
    | \\[a-zA-Z]+\*?                                                 # any other command of LaTeX
    """,
    re.VERBOSE | re.DOTALL,
)
CODE_WORD = re.compile(
    r"""
    (?<!\S) [!-~]*
    (?: \w[_=(\[{<>^|&@\#+*\\]+[\w(\[] | [a-zA-Z0-9)]\.[a-zA-Z_]\w | \w\(\) | :: | -> | => | [a-z][A-Z] )
    [!-~]* (?!\S)
    """,
    re.VERBOSE | re.ASCII,
)
"""A word of ASCII that prose does not have: `u.name`, `COUNT(o.id)`, `x^2`, `camelCase`, `i+=1`."""
MARKS = "\u0300-\u036f\u064b-\u0652\u0900-\u109f\u1780-\u17ff"  # vowel signs (Arabic, Indic to Khmer) are part of words
NOT_LETTERS = re.compile(rf"[^\w'{MARKS}]+|[\d_]+")
VARIABLE = re.compile(r"(?<![\w'])(?![ai]\b)[a-z\u03b1-\u03c9\u0430-\u044f](?![\w'])")
"""A single Latin, Greek or Cyrillic letter, which is a name in a formula; `a` and `i` are English words."""
CHAT = {
    "b4": "before",
    "btw": "by the way",
    "coz": "because",
    "cuz": "because",
    "doesnt": "doesn't",
    "doin": "doing",
    "dont": "don't",
    "dunno": "don't know",
    "gimme": "give me",
    "goin": "going",
    "gonna": "going to",
    "gotta": "got to",
    "idk": "i don't know",
    "imo": "in my opinion",
    "isnt": "isn't",
    "kinda": "kind of",
    "lemme": "let me",
    "lol": "",
    "omg": "oh my god",
    "pls": "please",
    "plz": "please",
    "ppl": "people",
    "r": "are",
    "tbh": "to be honest",
    "thats": "that's",
    "tho": "though",
    "thx": "thanks",
    "tryna": "trying to",
    "u": "you",
    "wanna": "want to",
    "whats": "what's",
    "wut": "what",
}
"""Spellings of English chats that the model has hardly seen, without those that other languages have (`im`, `wat`)."""
CHAT_WORD = re.compile(rf"(?<![\w'])({'|'.join(CHAT)})(?![\w'])")
NOT_LATIN = re.compile(r"[^\W\d_a-zA-Z\u00c0-\u024f\u1e00-\u1eff]")
IDEOGRAPH = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
KANA = re.compile(r"[\u3040-\u30ff]")


class UnknownLanguageError(ValueError):
    """A language to keep is not one of the model's: the message lists those it knows."""


@dataclass(frozen=True)
class Foreign:
    """The likeliest language of a text, if it is not a kept one."""

    language: str
    probability: float
    kept: float
    """Probability of the kept languages together."""


def foreign(text: str, keep: Collection[str], threshold: float, minimum_letters: int) -> Foreign | None:
    """The language of `text` if the kept languages together are less than `threshold` times as likely as it is.

    None if the text is in a kept language, in a mixture of them, or has fewer than `minimum_letters` letters of prose.
    The ratio of two probabilities is compared, not one of them: what looks like no language at all (names, chemical
    formulas) has small probabilities throughout, and must not be dropped for that.
    """
    prose = prepared(text)
    if letters(prose) < minimum_letters:
        return None
    found = probabilities(prose)
    kept = sum(found.get(language, 0.0) for language in keep)
    other = max((language for language in found if language not in keep), key=found.__getitem__, default=None)
    if other is None or kept >= threshold * found[other]:
        return None
    return Foreign(other, found[other], kept)


def prepared(text: str) -> str:
    """The words of prose in the first LENGTH characters of `text`, in lower case, with single spaces between them."""
    prose = CODE_WORD.sub(" ", NOT_PROSE.sub(" ", text[:LENGTH])).replace("\u2019", "'")
    lowered = NOT_LETTERS.sub(" ", prose).lower()
    return " ".join(VARIABLE.sub(" ", CHAT_WORD.sub(lambda word: CHAT[word[0]], lowered)).split())


def letters(prose: str) -> int:
    """How much there is to judge a language by: letters, one that is not Latin counting three."""
    return len(prose) - prose.count(" ") + 2 * len(NOT_LATIN.findall(prose))


def probabilities(prose: str) -> dict[str, float]:
    """Probability of each language for a prepared text; languages of probability 0 may be missing."""
    if is_chinese(prose):
        return {CHINESE: 1.0}
    labels, scores = _model().predict(prose, k=-1)
    return {label.removeprefix(LABEL): min(float(score), 1.0) for label, score in zip(labels, scores, strict=True)}


def is_chinese(prose: str) -> bool:
    """Whether ideographs are most of the letters, and Japanese syllables less than a tenth of the ideographs."""
    ideographs = len(IDEOGRAPH.findall(prose))
    return 6 * ideographs > letters(prose) and 10 * len(KANA.findall(prose)) < ideographs


def check_languages(keep: Collection[str]) -> None:
    """Raise UnknownLanguageError if the model does not know a language that is to be kept."""
    known = {label.removeprefix(LABEL) for label in _model().get_labels()}
    if unknown := sorted(set(keep) - known):
        raise UnknownLanguageError(
            f"languages: {unknown} are not labels of {MODEL.name}; it knows {', '.join(sorted(known))}"
        )


@cache
def _model() -> _FastText:
    return _FastText(str(MODEL))
