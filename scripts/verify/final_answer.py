"""Where a response states its final answer: the rules of `math_extraction`, and what is trimmed off an answer.

Forms follow what benchmarks ask for and models write: boxes (several in one list are one answer), `Answer:` and its
kin, headings, displayed formulas, Chinese and Japanese statements, GSM8K's `####`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from scripts.verify.settings import ExtractionRule, VerifySettings

_CJK = "\u3000-\u303f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uff01-\uffef"
"""Letters and punctuation of Chinese, Japanese and Korean, as a class of a regular expression."""
_BRACES = re.compile(r"\\(?:boxed|fbox)\s*\{|\\[{}\\]|[{}]")
_BETWEEN_BOXES = re.compile(
    r"[\s$.,;]*(?:\\[)\]])?[\s,;]*(?:and|or|\u548c|\u6216|\\text\s*\{[\s,]*(?:and|or)\s*\})?[\s$]*(?:\\[(\[])?\s*(?:[A-Za-z]\s*=\s*)?"
)
"""What may stand between boxes that are one answer: `\\boxed{3}$ and $x = \\boxed{5}`."""
_MARKER = re.compile(
    r"(?:(?:^|(?<=[\s*_>(]))(?i:answer)[*_]*\s*(?:(?i:is|are)\b\s*:?|[:=])"
    r"|(?:^|(?<=[\s*_>(]))####(?!\s*\d+\.\s+[A-Za-z])"  # GSM8K's; `#### 3. Compute` is a heading
    r"|^[#*_ ]*(?i:(?:(?:the|my) )?(?:final )?answer)[*_ ]*$"
    r"|(?i:<answer>)"
    r"|(?:\u7b54\u6848|\u7b54\u3048)[*_]*\s*"
    r"(?:(?:\u5e94\u8be5|\u5e94\u5f53|\u5e94|\u5c31)?[\u662f\u4e3a\u70ba\u306f]\s*[:\uff1a]?|[:\uff1a])"
    r")[\s*_]*",
    re.MULTILINE,
)
_ANSWER_END = re.compile(r"(?i)</answer>")
_DISPLAY = re.compile(r"\\\[.*?\\\]|\$\$.*?\$\$", re.DOTALL)
_PROSE = re.compile(
    r"(?:[,;:.!?]|\s)\s*(?!or\b|and\b|vs\b|versus\b|frac|sqrt)[A-Za-z]{2,}"
    r"|[.!?](?:\s|$)(?!\s*-?\d[\d.,/]*\s*(?:or\b|and\b|\?))"
    r"|;(?!\s*\$?\s*(?:[-+\d\\(\[.\u2212]|[A-Za-z]\s*=))"
    rf"|[{_CJK}]"
)
"""Where the prose after a stated answer begins: a word of two letters or more, or the end of the sentence; not where
other answers go on (`3; 5`, `4. 5 or 6`)."""
_DENIED = re.compile(
    r"(?i)(?:is )?(?:not|neither|between|under|over|at (?:least|most)|(?:less|more|fewer|greater|smaller|larger) than)"
    r"\b[\s$\\(*]*[-\d]"
)
"""`not 18`, `between 17 and 19`: a number that is no answer."""
_JOINED = re.compile(
    r";|\d\s*:\s*\d|\d,\s+-?\d"
    r"|\d[\s$]*(?:\\[)(]|\(?(?:and|or|vs\.?|versus)\b|[|?]|(?<=[\s$])(?!\d+/\d))[\s$]*(?:\\\()?-?\d"
)
"""A list, a ratio, or several numbers, of which math-verify would take one out of prose."""
_FORMULA = re.compile(r"(?=.*[\dA-Za-z)]\s*[-+*^]\s*[\dA-Za-z(])(?:[-+*/^().=\d\s]|(?<![A-Za-z])[A-Za-z](?![A-Za-z]))+")
"""A formula without LaTeX, such as `5 + 3i`: math-verify finds none in prose."""
_ALTERNATIVES_AT_END = re.compile(r"-?\d[\d.,/]*[\s$]*\bor\b[\s$]*-?\d[\d.,/]*[\s$]*$")
_PRICE = re.compile(r"^\\?\$\s*(?=[\d.])")
_UNIT = re.compile(rf"^[\u20ac\xa3\xa5\u20b9]\s*(?=[\d.])|(?<=[\d}})])\s*(?:[\u20ac\xa3\xa5\u20b9]|[{_CJK}]+)$")
_THOUSANDS = re.compile(r"(?<=\d)(?:,\\!|\{,\}|\\,)(?=\d{3}(?!\d))")  # 4,\!320, 4{,}320 and 4\,320
_DEGREES = re.compile("\xb0[CF]?")
_MIXED = re.compile(r"^(-?\d+)\s+(\d+)/(\d+)(?!\d)")
_MARKED_CHARS = 500  # an answer on its line is shorter


@dataclass(frozen=True)
class Stated:
    """A final answer as the response states it: exact LaTeX (from a box, a target), or prose that holds it."""

    text: str
    exact: bool


def find_answer(response: str, settings: VerifySettings) -> Stated | None:
    """The final answer by the first rule of `math_extraction` that finds one."""
    for rule in settings.math_extraction:
        stated = _RULES[rule](response, settings)
        if stated is not None:
            return stated
    return None


def trim(text: str) -> str:
    """Without what stands around an answer and is not part of it: bold, a full stop, one pair of math delimiters, the
    currency of a price, a Chinese unit; with one spelling of thousands, degrees and mixed numbers."""
    text = _THOUSANDS.sub("", text).replace("\\!", "").replace("{,}", ",").replace("\u2212", "-")  # a minus sign
    text = _DEGREES.sub(r"^\\circ ", text).replace("~", " ").replace("\\varnothing", "\\emptyset")
    text = _unbold(text)
    for start, end in (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]")):
        inner = text[len(start) : -len(end)]
        if len(text) > len(start + end) and text.startswith(start) and text.endswith(end) and start not in inner:
            text = _unbold(inner)
            break
    text = _MIXED.sub(r"\1\\frac{\2}{\3}", _UNIT.sub("", text))
    return _PRICE.sub("", text) if text.count("$") == 1 else text


def boxed(text: str) -> Stated | None:
    """The content of the last box that is closed, with that of the boxes before it that are one answer with it."""
    boxes = list(_boxes(text))
    if not boxes:
        return None
    first = len(boxes) - 1
    if not text[slice(*boxes[first][1:])].strip():
        return Stated("", exact=True)
    while first and _BETWEEN_BOXES.fullmatch(text, boxes[first - 1][2] + 1, boxes[first][0]):
        first -= 1
    contents = dict.fromkeys(text[start:end].strip() for _, start, end in boxes[first:])
    return Stated(", ".join(trim(content) for content in contents if content), exact=True)


def _boxes(text: str) -> Iterator[tuple[int, int, int]]:
    """Where each innermost closed box begins, and its content's start and end. One pass: thousands may not close."""
    open_braces: list[tuple[int, int] | None] = []  # where a box and its content begin; None for any other brace
    last = -1
    for match in _BRACES.finditer(text):
        if match.group()[-1] == "{" and match.group() != "\\{":
            open_braces.append(match.span() if len(match.group()) > 1 else None)
        elif match.group() == "}" and open_braces:
            opened = open_braces.pop()
            if opened is not None and opened[0] > last:
                last = opened[0]
                yield opened[0], opened[1], match.start()


def _marked(response: str) -> Stated | None:
    """What follows the last `Answer:` (`the answer is`, `<answer>`, `####`, ...), up to the prose after it."""
    for marker in reversed(list(_MARKER.finditer(response))):
        rest = response[marker.end() : marker.end() + _MARKED_CHARS]
        display = _DISPLAY.match(rest)
        line = display.group() if display else rest.partition("\n")[0]
        if line.strip():
            return _from_line(_ANSWER_END.split(line)[0].strip())
    return None


def _from_line(line: str) -> Stated:
    text = _without_prose(line)
    text, inner = _unbold(text), trim(text)
    if _DENIED.match(inner):
        return Stated("", exact=True)
    if _JOINED.search(inner):
        return Stated(inner.replace("$", ""), exact=True)
    latex = "$" not in inner and re.search(r"\\[A-Za-z]", inner) is not None
    return Stated(inner, exact=inner != text or latex or _FORMULA.fullmatch(inner) is not None)


def _without_prose(line: str) -> str:
    for match in _PROSE.finditer(line):
        head = line[: match.start()]
        if re.search(r"[\d$)]", head) and head.count("$") % 2 == 0 and head.count("\\(") == head.count("\\)"):
            return re.sub(r"\s+(?:and|or)$", "", head)
    return line


def _last(response: str, settings: VerifySettings) -> Stated | None:
    """The end of the response, in which math-verify finds the last expression."""
    tail = response[-settings.math_tail_chars :]
    if len(tail) < len(response):
        tail = re.sub(r"^\S*\s", "", tail, count=1)  # not from the middle of a number
    if not tail.strip():
        return None
    tail = trim(re.sub(f"[{_CJK}]+", " ", tail))
    alternatives = _ALTERNATIVES_AT_END.search(tail)
    return Stated(alternatives.group(), exact=True) if alternatives else Stated(tail, exact=False)


def _unbold(text: str) -> str:
    text = text.strip().strip("*_").strip()
    return text if text.endswith("..") else text.removesuffix(".").strip().strip("*_").strip()


_RULES: dict[ExtractionRule, Callable[[str, VerifySettings], Stated | None]] = {
    "boxed": lambda response, _: boxed(response),
    "marker": lambda response, _: _marked(response),
    "last": _last,
}
