"""One spelling of an answer that people write in several: LaTeX that math-verify and `latex_value` read alike.

`spell` rewrites an answer without prose (the content of a box, a target, the text after `Answer:`); `spell_prose`
rewrites the quantities of a sentence, so that their sign, their fraction and their percent sign stay with their digits.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

CJK = "\u3000-\u303f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uff01-\uffef"
"""Letters and punctuation of Chinese, Japanese and Korean, as a class of a regular expression."""

# --- characters

_HYPHENS = "\u2212\u2010\u2011\u2012\ufe63\uff0d"
_SPACES = "\xa0\u2007\u2009\u200a\u202f\u3000"
_FULL_WIDTH = {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
_FULL_WIDTH_IN_PROSE = {code: letter for code, letter in _FULL_WIDTH.items() if letter.isalnum() or letter in "%+./=-"}
_DASH_SIGN = re.compile("((?:^|[^\\d)\\s])\\s*)\u2013\\s*(?=[\\d.$])")
"""A dash that was typed as a minus sign; the dash of a range (`5\u20137`) is not."""
_PLAIN = dict.fromkeys(map(ord, _HYPHENS), "-") | dict.fromkeys(map(ord, _SPACES), " ")
_COMMANDS = {
    "\u03c0": "\\pi", "\u03b8": "\\theta", "\u03b1": "\\alpha", "\u03b2": "\\beta", "\u03b3": "\\gamma",
    "\u03bb": "\\lambda", "\u03bc": "\\mu", "\u03c6": "\\phi", "\u03c9": "\\omega",
    "\u221e": "\\infty", "\u2264": "\\le", "\u2a7d": "\\le", "\u2265": "\\ge", "\u2a7e": "\\ge", "\u2260": "\\ne",
    "\u2248": "\\approx", "\xb1": "\\pm", "\xd7": "\\times", "\xb7": "\\cdot", "\u22c5": "\\cdot", "\u2219": "\\cdot",
    "\u222a": "\\cup", "\u2229": "\\cap", "\u2208": "\\in", "\u2205": "\\emptyset", "\u2026": "\\ldots",
    "\u211d": "\\mathbb{R}", "\u2124": "\\mathbb{Z}", "\u2115": "\\mathbb{N}", "\u211a": "\\mathbb{Q}",
}  # fmt: skip
_SYMBOLS = {ord(symbol): f"{command} " for symbol, command in _COMMANDS.items()}
_SYMBOLS |= {ord("\xf7"): "/", ord("\u2044"): "/", ord("\u3001"): ", ", ord("\u3002"): "."}
_FRACTIONS = {
    chr(code): unicodedata.normalize("NFKC", chr(code)).split("\u2044")
    for code in (*range(0xBC, 0xBF), *range(0x2150, 0x215F), 0x2189)
}
_FRACTION = re.compile(rf"(\d)?\s?([{''.join(_FRACTIONS)}])")
_RAISED, _LOWERED = (
    "\u2070\xb9\xb2\xb3\u2074\u2075\u2076\u2077\u2078\u2079",
    "\u2080\u2081\u2082\u2083\u2084\u2085\u2086\u2087\u2088\u2089",
)
_RAISED_TEXT = re.compile(f"[{_RAISED}\u207a\u207b\u207f]+")
_LOWERED_TEXT = re.compile(f"[{_LOWERED}]+")
_ASCII = str.maketrans(f"{_RAISED}\u207a\u207b\u207f{_LOWERED}", "0123456789+-n0123456789")
_ROOT = re.compile(r"([\u221a\u221b\u221c])\s*(\d+(?:\.\d+)?|[A-Za-z]|(?=\())")
_DEGREE = {"\u221a": "", "\u221b": "[3]", "\u221c": "[4]"}

# --- what says nothing about the value

_LAYOUT = re.compile(r"\\displaystyle\s*|\\color\{[^{}]*\}")
_COLOURED = re.compile(r"\\textcolor\{[^{}]*\}(?=\{)")
_FOREIGN_WORDS = re.compile(rf"\\(?:text|mbox|mathrm)\{{[{CJK}\s]+\}}")
_UPRIGHT = re.compile(
    r"\\(?:mathrm|text|textrm|operatorname|mathit|mathbf|mathsf)\s*\{\s*([ei])\s*\}|\{\s*\\rm\s+([ei])\s*\}"
)
THOUSANDS = re.compile(r"(?<=\d)(?:,\\!|\{,\}|\\,)(?=\d{3}(?!\d))")  # 4,\!320, 4{,}320 and 4\,320
_SPACED_THOUSANDS = re.compile(r"-?\d{1,3}(?: \d{3})+(?:\.\d+)?")
_DEGREES = re.compile("[\xb0\xba][CF]?")
_LEADING_PLUS = re.compile(r"^\+\s*(?=[\d.\\(])")
_SPACED_SIGN = re.compile(
    r"^(?:-|(?i:minus|negative)|\\text\{\s*(?i:minus|negative)\s*\})(?:\s|\\[ ,;])*(?=[\d.\\($]|(?<=-\s)[A-Za-z])"
)
_CURRENCY = "\u20ac\xa3\xa5\u20b9"
_PRICE = re.compile(rf"^(-?)\s*(?:\\?\$|[{_CURRENCY}])\s*(-?)\s*(?=[\d.])")
_SIGNED_MATH = re.compile(r"^-\s*\$([^$]+)\$$")
_UNIT = re.compile(rf"(?<=[\d}})])\s*(?:[{_CURRENCY}]|[{CJK}]+)$")
_ORDINAL = re.compile(r"(?<=\d)\^\{?(?:\\text\{)?(?:st|nd|rd|th)\}*$")
_AREA = re.compile(r"(?<=\d)\s*(?:mm|cm|dm|km|m|in|ft|yd|mi)\s?(?:[\xb2\xb3]|\^\{?[23]\}?)$")
_MIXED = re.compile(r"^(-?\d+)\s+(\d+)/(\d+)(?!\d)")
_PERCENT = re.compile(
    r"(?:\s|\\[ ,;])*(?:\\?%|\\(?:text|mathrm)\{\s*(?:\\?%|percent|per cent|percentage|pct)\s*\}"
    r"|(?<=[\d}\s])\b(?:percent|per cent|pct)\b)\.?$"
)
_WRAPPED = re.compile(
    r"(?P<quote>[`\"']+|\u2018|\u201c|\xab)(?P<quoted>[^`\"'\u2018\u2019\u201c\u201d\xab\xbb]+)(?:(?P=quote)|[\u2019\u201d\xbb])"
    r"|[<(\[{\u300c\u3010](?P<bracketed>[-+]?\\?\$?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+|/\d+)?\\?%?)[>)\]}\u300d\u3011]"
)
"""Quotes or code ticks around an answer, brackets around a number."""

# --- plain notation

PLAIN_WORDS = "pi|theta|alpha|beta|gamma|lambda|infinity|sqrt|cbrt|exp|abs|sin|cos|tan|cot|sec|csc|log|ln"
"""Names that plain notation (`2*pi`, `sqrt(2)/2`) shares with LaTeX."""
_NOTATION = re.compile(
    rf"(?:\d++(?:\.\d++)?|\.\d++|[-+*/^()=,<>!\s{{}}]|\\(?:times|cdot|pi|sqrt|frac|infty|le|ge|ne|pm)(?![A-Za-z])"
    rf"|(?<![A-Za-z])(?:{PLAIN_WORDS}|oo|[A-Za-z]{{1,2}})(?![A-Za-z]))++"
)
_CALL = re.compile(r"(?<![A-Za-z\\])(sqrt|cbrt|exp|abs)\s*\(|\^\s*\(")
_NAME = re.compile(
    r"(?<![A-Za-z\\])(pi|theta|alpha|beta|gamma|lambda|sin|cos|tan|cot|sec|csc|log|ln|infinity|oo)(?![A-Za-z])"
)
_CALLED = {
    "sqrt": ("\\sqrt{", "}"),
    "cbrt": ("\\sqrt[3]{", "}"),
    "exp": ("e^{", "}"),
    "abs": ("\\left|", "\\right|"),
    None: ("^{", "}"),
}
_RELATIONS = {"<=": "\\le ", ">=": "\\ge ", "!=": "\\ne "}
_LONG_POWER = re.compile(r"\^\s*(-\d+|\d{2,})")
_NEGATIVE_POWER = re.compile(r"\^\s*(-\d+)")
_POWER_OF_TEN = re.compile(
    r"(?<=\d)\s*(?:[xX*\xd7\xb7\u22c5\u2219]|\\times|\\cdot)\s*10\s*(?:\^|\*\*)\s*\{?\s*([-+]?\d+)\s*\}?"
)
_SCIENTIFIC = re.compile(r"(?<![\w.\\])([-+]?\d+(?:\.\d+)?)[eE]([-+]?\d+)(?![\w.])")
_DOUBTFUL = re.compile(r"\d[eE]-\d")
"""`2e-1` may be the number 0.2 or the expression 2e - 1."""
_MAX_SPELLED = 2000
_MAX_PLAIN = 300
"""Characters of a text that is worth spelling: math-verify does not come back from a longer one."""


@lru_cache(maxsize=100_000)
def spell(text: str) -> str:
    """The one spelling of an answer, without what is around it: bold, a full stop, one pair of math
    delimiters or quotes, the currency of a price, a Chinese unit."""
    if len(text) > _MAX_SPELLED:
        return text.strip()
    text = _characters(text.replace("+/-", "\xb1"), _FULL_WIDTH)
    text = THOUSANDS.sub("", text).replace("\\!", "").replace("{,}", ",").replace("{:}", ":").replace("~", " ")
    text = _without_delimiters(_unbold(_without_layout(text)))
    text = _unwrapped(text)
    text = _ORDINAL.sub("", text)
    text = _PERCENT.sub(r"\\%", _AREA.sub("", _UNIT.sub("", text)))
    text = _sign(text)
    text = _plain_notation(_operators(text))
    if _SPACED_THOUSANDS.fullmatch(text):
        return text.replace(" ", "")
    return _MIXED.sub(r"\1\\frac{\2}{\3}", text)


def scientific(text: str, doubtful: bool) -> str:
    """`3.2e5` as `3.2 \\times 10^{5}`; of what may be an expression with the constant e only if `doubtful`."""

    def spelled(match: re.Match[str]) -> str:
        if _DOUBTFUL.fullmatch(match[0]) and match[0][0] != "1" and not doubtful:
            return match[0]
        return f"{match[1]} \\times 10^{{{match[2].removeprefix('+')}}}"

    return _SCIENTIFIC.sub(spelled, text)


def ascii_digits(text: str) -> str:
    """A sentence with the digits, letters and signs of its quantities in ASCII; its punctuation stays."""
    return _characters(text, _FULL_WIDTH_IN_PROSE)


def _characters(text: str, full_width: dict[int, str]) -> str:
    """Digits of any script, full-width characters, hyphens and spaces as ASCII; fractions and powers as LaTeX."""
    if text.isascii():
        return text
    text = "".join(
        str(unicodedata.decimal(each)) if each.isdecimal() else each for each in text.translate(_PLAIN | full_width)
    )
    return _DASH_SIGN.sub(r"\1-", text)


def _operators(text: str) -> str:
    """Symbols of Unicode as LaTeX's commands."""
    if not text.isascii():
        text = _FRACTION.sub(lambda match: "{}\\frac{{{}}}{{{}}}".format(match[1] or "", *_FRACTIONS[match[2]]), text)
        text = _RAISED_TEXT.sub(lambda match: f"^{{{match[0].translate(_ASCII)}}}", text)
        text = _LOWERED_TEXT.sub(lambda match: f"_{{{match[0].translate(_ASCII)}}}", text)
        text = _DEGREES.sub(r"^\\circ ", text)
        text = _roots(text).translate(_SYMBOLS)
    return text.replace("\\varnothing", "\\emptyset").strip()


def _roots(text: str) -> str:
    text = _ROOT.sub(
        lambda match: f"\\sqrt{_DEGREE[match[1]]}{{{match[2]}}}" if match[2] else f"\\sqrt{_DEGREE[match[1]]}", text
    )
    while match := re.search(r"\\sqrt(?:\[\d\])?\(", text):
        inner = _in_parentheses(text, match.end())
        if inner is None:
            return text
        text = f"{text[: match.end() - 1]}{{{inner}}}{text[match.end() + len(inner) + 1 :]}"
    return text


def _without_layout(text: str) -> str:
    text = _COLOURED.sub("", _LAYOUT.sub("", text))
    if re.search(r"\d", text):
        text = _FOREIGN_WORDS.sub(" ", text)
    return _UPRIGHT.sub(lambda match: f" {match[1] or match[2]}", text)


def _without_delimiters(text: str) -> str:
    for start, end in (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]")):
        inner = text[len(start) : -len(end)]
        if len(text) > len(start + end) and text.startswith(start) and text.endswith(end) and start not in inner:
            return _unbold(inner)
    return text


def _unwrapped(text: str) -> str:
    match = _WRAPPED.fullmatch(text)
    return _without_delimiters(_unbold(match["quoted"] or match["bracketed"])) if match else text


def _sign(text: str) -> str:
    """The sign beside its number: `- 7`, `-$7`, `$-7`, `-$\\frac{3}{4}$`; no plus sign."""
    text = _LEADING_PLUS.sub("", _SPACED_SIGN.sub("-", _SIGNED_MATH.sub(r"-\1", text)))
    return _PRICE.sub(r"\1\2", text) if text.count("$") <= 1 else text


def _plain_notation(text: str) -> str:
    """`2*pi`, `x**2`, `sqrt(2)/2`, `x^(1/2)` and `1.5e3` as LaTeX."""
    text = scientific(_POWER_OF_TEN.sub(r" \\times 10^{\1}", text), doubtful=False)
    if len(text) > _MAX_PLAIN or not re.search(r"[*(^<>!]|pi|oo|inf", text) or not _NOTATION.fullmatch(text):
        return _NEGATIVE_POWER.sub(r"^{\1}", text)
    text = text.replace("**", "^").replace("*I", "*i")
    for plain, latex in _RELATIONS.items():
        text = text.replace(plain, latex)
    text = _calls(text)
    text = (_LONG_POWER if "\\" not in text else _NEGATIVE_POWER).sub(r"^{\1}", text)
    text = re.sub(r"(?<![A-Za-z\\])log(\d+)\(", r"\\log_{\1}(", text)
    text = _NAME.sub(lambda match: "\\infty " if match[1] in ("oo", "infinity") else f"\\{match[1]} ", text)
    return text.replace("*", "\\cdot ").strip()


def _calls(text: str) -> str:
    position = 0
    while match := _CALL.search(text, position):
        inner = _in_parentheses(text, match.end())
        if inner is None:
            return text
        before, after = _CALLED[match[1]]
        text = f"{text[: match.start()]}{before}{inner}{after}{text[match.end() + len(inner) + 1 :]}"
        position = match.start() + len(before)
    return text


def _in_parentheses(text: str, start: int) -> str | None:
    """The text from `start`, which is after an opening parenthesis, to the closing one; None if there is none."""
    depth = 1
    for position in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[position], 0)
        if not depth:
            return text[start:position]
    return None


def _unbold(text: str) -> str:
    text = text.strip().strip("*_").strip()
    return text if text.endswith("..") else text.removesuffix(".").strip().strip("*_").strip()
