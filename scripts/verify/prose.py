"""Quantities in sentences: `the answer is - 7.`, `So each gets 2 2/3 cups`, `the profit is -$1,200`.

math-verify's search in prose takes a number only if a space, an equals sign or a currency is before it, and drops a
sign that does not touch its digits. `spell_prose` moves signs, quotes and units so that it finds what is meant;
`final_quantity` takes the last quantity of a text itself, if nothing follows it that is mathematics.
"""

from __future__ import annotations

import re

from scripts.verify.spelling import PLAIN_WORDS, THOUSANDS, ascii_digits

_VERB = (
    r"(?:is|are|was|were|be|equals?|equal to|gives?|gets?|got|yields?|becomes?|obtain|have|has|had"
    r"|to|at|of|by|about|approximately|exactly)"
)
_BEFORE_A_SIGN = rf"(?:[=:(>\u2248#]|\b(?i:{_VERB}))\s*[*_]*"
_NUMBER_FOLLOWS = r"(?=\$?\\?[$\u20ac\xa3\xa5\u20b9]?\s?[\d.(]|\\d?frac|\\sqrt|\u221a)"
_NEGATIVE = re.compile(rf"\bnegative\s+{_NUMBER_FOLLOWS}", re.IGNORECASE)
_MINUS = re.compile(rf"(^|{_BEFORE_A_SIGN}\s*)(?:(?i:minus)\s+|-\s+){_NUMBER_FOLLOWS}")
_WIDE_MINUS = re.compile(rf"(?<=[A-Za-z]{{2}})\s+\u2212\s+{_NUMBER_FOLLOWS}")
_PLUS = re.compile(rf"(^|{_BEFORE_A_SIGN}\s*)\+\s*(?=\$?\d)")
_PRICE = re.compile(
    r"(?<![\w$])(?:(-)\s?)?(?:(?:US|C|A|HK|NZ)?\\?\$|[\u20ac\xa3\xa5\u20b9])\s?(-?)(\d[\d,]*(?:\.\d+)?)"
    r"(?![\d$^+*/=<>_\\{,]|\s*[-+*/=<>^\\])(?=[^$]*(?:\$\s?\d[^$]*)*$)"
)
_SIGNED_MATH = re.compile(rf"((?:^|{_BEFORE_A_SIGN}\s*))-\s*\$(?=[^$+-]+\$)")
_QUOTED = re.compile(
    r"(?<![\w`])(?:(`+|\"+)(?P<ticked>[^`\"\n]{1,60})\1|\u201c(?P<curly>[^\u201d\n]{1,60})\u201d"
    r"|[\u300c\u300e\u3010\u300a](?P<corner>[^\u300d\u300f\u3011\u300b\n]{1,60})[\u300d\u300f\u3011\u300b]"
    r"|\u2018(?P<single>[^\u2019\n]{1,60})\u2019|'(?P<plain>[^'\n]{1,60})'(?!\w))"
)
_TAG = re.compile(r"</?(?:b|i|u|em|strong|code|span|p|mark)>")
_BRACKETED = re.compile(
    rf"({_BEFORE_A_SIGN}\s*)[<(\[{{\u300c\u3010]\s*(-?\$?(?:\d{{1,3}}(?:,\d{{3}})+|\d+)?(?:\.\d+|/\d+)?%?)\s*[>)\]}}\u300d\u3011](?=[\s.*_]*$)"
)
_CLOCK = re.compile(r"(?<![\d:.])(\d{1,2}(?::\d\d){0,2})\s*(?:\\text\{)?\s*([aApP])\.?\s?[mM]\b\.?\}?")
_PERCENT = re.compile(r"(?<=\d)\s*(?i:percent|per cent|pct)\b")
_IN_BASE = re.compile(
    r"(?<=[\dA-F])(?:\s+in|\s*\()?\s+base[ -](\d+|[a-z]+)\b\)?|(?<=[\dA-F])\s*\(base[ -](\d+|[a-z]+)\)"
)
_LIST_COMMA = re.compile("(?<=\\d)[\uff0c\u3001](?=\\s*-?\\d)")

_NUMBER = r"(?:(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)"
_TIMES = r"\s?(?:[xX*\xd7\xb7]|\\times|\\cdot)\s?"
QUANTITY = (
    r"-?(?:"
    r"\d+(?::\d+){1,2}(?:[ap]m)?|\d{1,2}[ap]m"
    r"|[1-9][\dA-F]*_(?:\d+|\{(?:\d+|[a-z]+)\})"
    r"|\d*\s?\\[dt]?frac\{[^{}]+\}\{[^{}]+\}|\d+\s+\d+/\d+|\d+/\d+|\d*\s?[\xbc-\xbe\u2150-\u215e\u2189]"
    rf"|{_NUMBER}(?:[eE][-+]?\d+|{_TIMES}10(?:\^|\*\*)\{{?[-+]?\d+\}}?|{_TIMES}10[\u207a\u207b\xb9\xb2\xb3\u2070-\u2079]+)"
    r"|\d*[\u221a\u221b]\d+"
    rf"|{_NUMBER})(?:\s?\\?%)?"
)
"""A number, a fraction, a mixed number, a ratio or time of day, a root, scientific notation; with its percent sign."""
_FINAL = re.compile(
    rf"(?:(?<=[\s=:(>#])|^)(?P<quantity>{QUANTITY})(?P<letter>[a-z](?![A-Za-z]))?(?P<rest>[^\d$\\=+*^<>{{}}\u221a\u03c0]*)$"
)
_OPERATOR_BEFORE = re.compile(r"(?:[-+*/^\xd7\xb7\xf7]|\d|\btimes|\bplus|\bminus|\bover|[A-Za-z]\()\s*$")
_TERM_BEFORE = re.compile(r"(?:(?<![A-Za-z])[A-Za-z]|[\d)\]}]|[A-Za-z]\()\s*$")
_UNIT_LETTER = re.compile(r"[mshgl]")
_ALONE = re.compile(rf"(?P<quantity>{QUANTITY})(?P<rest>(?:\s*[^\W\d_]{{2,}}|\s[A-Z]\b|[\s.,'\u2019\xb0/\xb2\xb3-])*)")
_NO_UNIT = re.compile(rf"(?i)\b(?:or|and|vs|versus|to|plus|minus|times|over|not|{PLAIN_WORDS})\b|\u03c0")
_FUNCTION = re.compile(rf"\b(?:{PLAIN_WORDS})\b")
_QUANTITY_CHARS = 200  # the last quantity, with the words after it


def spell_prose(text: str) -> str:
    """Signs at their numbers, times of day in one word (`7:30pm`), numbers without quotes, ticks and currencies."""
    text = _WIDE_MINUS.sub(" -", text.replace("+/-", "\xb1"))
    text = ascii_digits(_LIST_COMMA.sub(", ", text))
    text = _QUOTED.sub(lambda match: next(filter(None, match.groups()[1:])), _TAG.sub("", text))
    text = _IN_BASE.sub(lambda match: f"_{{{match[1] or match[2]}}}", text)
    text = _PERCENT.sub("%", _CLOCK.sub(lambda match: f"{match[1]}{match[2].lower()}m", text))
    text = _MINUS.sub(r"\1-", _NEGATIVE.sub("-", text))
    text = _PLUS.sub(r"\1", _SIGNED_MATH.sub(r"\1$-", text))
    text = _PRICE.sub(lambda match: f"{match[1] or match[2]}{match[3]}", THOUSANDS.sub("", text))
    return _BRACKETED.sub(r"\1\2", text)


def quantity_alone(text: str) -> str | None:
    """The quantity of a text that is a quantity and words of its unit (`3 1/2 cups`); None for any other text."""
    match = _ALONE.fullmatch(text)
    return None if match is None or _NO_UNIT.search(match["rest"]) else match["quantity"]


def final_quantity(text: str) -> str | None:
    """The last quantity of a text; None if it is part of an expression, or a formula follows it."""
    tail = text[-_QUANTITY_CHARS:]
    for match in _FINAL.finditer(tail):
        before = _OPERATOR_BEFORE if match["quantity"][0] != "-" else _TERM_BEFORE
        if not _FUNCTION.search(match["rest"]) and not before.search(tail, 0, match.start()):
            letter = match["letter"] or ""
            return match["quantity"] + ("" if _UNIT_LETTER.fullmatch(letter) else letter)
    return None
