"""Where a response states its final answer: the rules of `math_extraction`.

Forms follow what benchmarks ask for and models write: boxes (several in one list are one answer), `Answer:` and its
kin, headings, displayed formulas, Chinese and Japanese statements, GSM8K's `####`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from scripts.verify.prose import final_quantity, quantity_alone, spell_prose
from scripts.verify.settings import ExtractionRule, VerifySettings
from scripts.verify.spelling import CJK, PLAIN_WORDS, spell

_BRACES = re.compile(r"\\(?:boxed|fbox|framebox)\s*\{|\\[{}\\]|[{}]")
_BETWEEN_BOXES = re.compile(
    r"(?:[\s$.,;~&]|\\[,;:! ()\[\]\\]|\\q?quad(?![A-Za-z])|\b(?:and|or)\b|[\u548c\u6216]"
    r"|\\text\s*\{[\s,]*(?:and|or)\s*\})*"
    r"(?:(?:[A-Za-z]|\\[a-z]+)(?:_\{?\w+\}?)?\s*=\s*)?"
)
"""What may be between boxes that are one answer: `\\boxed{3}$ and $x = \\boxed{5}`."""
_LABEL = re.compile(
    r"^(?:\\text\{\s*)?(?i:(?:so|thus|therefore|hence),?\s+)?(?i:the\s+)?(?i:final |correct )?"
    r"(?i:answer)(?:\s*[:=]|\s+is\b:?)\s*\}?\s*"
)
"""`\\boxed{\\text{The answer is } 18}`, `\\boxed{Answer: 18}`: the statement in the box."""
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
_FENCE = re.compile(r"\s*```\w*\n")
_DISPLAY = re.compile(r"\\\[.*?\\\]|\$\$.*?\$\$", re.DOTALL)
_PROSE = re.compile(
    r"(?:[,;:.!?]|\s)\s*(?!(?:or|and|vs|versus|pi|sin|cos|tan|log|ln|exp)\b|frac|sqrt)[A-Za-z]{2,}"
    r"|[.!?](?:\s|$)(?!\s*-?\d[\d.,/]*\s*(?:or\b|and\b|\?))"
    r"|;(?!\s*\$?\s*(?:[-+\d\\(\[.\u2212]|[A-Za-z]\s*=))"
    rf"|[{CJK}]"
)
"""Where the prose after a stated answer begins: a word of two letters or more, or the end of the sentence; not where
other answers go on (`3; 5`, `4. 5 or 6`)."""
_DENIED = re.compile(
    r"(?i)(?:is )?(?:not|neither|between|under|over|at (?:least|most)|(?:less|more|fewer|greater|smaller|larger) than)"
    r"\b[\s$\\(*]*[-\d]"
)
"""`not 18`, `between 17 and 19`: a number that is not the answer."""
_JOINED = re.compile(
    r";|\d\s*:\s*\d|\d,\s+-?\d"
    r"|\d[\s$]*(?:\\[)(]|\(?(?:and|or|vs\.?|versus)\b|[|?]|(?<=[\s$])(?!\d+/\d))[\s$]*(?:\\\()?-?\d"
)
"""A list, a ratio, or several numbers, of which math-verify would take one out of prose."""
_FORMULA = re.compile(
    r"(?=.*(?:[\dA-Za-z)]\s*[-+*^/]\s*[\dA-Za-z(]|\d\s?(?:[a-z](?![A-Za-z])|sqrt|pi|\u03c0|\u221a)))"
    rf"(?:[-+*/^().=\d\s\u03c0\u221a\xb2\xb3]|(?<![A-Za-z])(?:[A-Za-z]|{PLAIN_WORDS})(?![A-Za-z]))+"
)
"""A formula without LaTeX, such as `5 + 3i` or `12c`: math-verify finds none in prose, or its first number."""
_ALTERNATIVES_AT_END = re.compile(r"-?\d[\d.,/]*[\s$]*\bor\b[\s$]*-?\d[\d.,/]*[\s$]*$")
_FINAL_MATH = re.compile(
    r"(?:(?<![\\$\d])\$\$?(?P<dollars>[^$]+)\$\$?|\\\((?P<round>(?:[^\\$]|\\(?![()]))+)\\\)|\\\[(?P<square>(?:[^\\$]|\\(?![\[\]]))+)\\\])"
    r"(?P<percent>%?)[^\d$\\=+*^<>{}\u221a]*$"
)
_NOT_PLAIN = re.compile(r"\\[A-Za-z]|^[(\[]")
_COMMANDS = re.compile(r"\\(?:text|mathrm|mathbf|mathbb|operatorname)\s*\{[^{}]*\}|\\[A-Za-z]+")
_TUPLE = re.compile(
    r"[(\[](?:[-\d.,/\s]|(?<![A-Za-z])[A-Za-z](?![A-Za-z]))*,(?:[-\d.,/\s]|(?<![A-Za-z])[A-Za-z](?![A-Za-z]))*[)\]]"
)
_LISTED = re.compile(r"(?:\$|\\\))[\s,]*(?:and|or)?\s*$")
_AFTER_VERB = re.compile(r".*(?:[=:]|\b(?:is|are|be|equals|equal to|get|gives|yields|becomes))\s+(.*)$", re.DOTALL)
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


def boxed(text: str) -> Stated | None:
    """The content of the last closed box, after that of the boxes before it that belong to the same answer."""
    boxes = list(_boxes(text))
    if not boxes:
        return None
    first = len(boxes) - 1
    if not text[slice(*boxes[first][1:])].strip():
        return Stated("", exact=True)
    while first and _BETWEEN_BOXES.fullmatch(text, boxes[first - 1][2] + 1, boxes[first][0]):
        first -= 1
    contents = dict.fromkeys(text[start:end].strip() for _, start, end in boxes[first:])
    return Stated(", ".join(spell(_LABEL.sub("", content)) for content in contents if content), exact=True)


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
    """The text after the last `Answer:` (`the answer is`, `<answer>`, `####`, ...), up to the prose that follows."""
    for marker in reversed(list(_MARKER.finditer(response))):
        rest = response[marker.end() : marker.end() + _MARKED_CHARS]
        fence, display = _FENCE.match(rest), _DISPLAY.match(rest)
        line = display.group() if display else rest[fence.end() if fence else 0 :].partition("\n")[0]
        if line.strip():
            return _from_line(_ANSWER_END.split(line)[0].strip())
    return None


def _from_line(line: str) -> Stated:
    text = _without_prose(spell_prose(line)).strip().strip("*_").strip()
    inner, quantity = spell(text), quantity_alone(text)
    if _DENIED.match(inner):
        return Stated("", exact=True)
    if _JOINED.search(inner):
        return Stated(inner.replace("$", ""), exact=True)
    if quantity is not None:
        return Stated(spell(quantity), exact=True)
    latex = "$" not in inner and re.search(r"\\[A-Za-z]", inner) is not None
    changed = inner != text.removesuffix(".").rstrip()
    return Stated(inner, exact=changed or latex or _FORMULA.fullmatch(inner) is not None)


def _without_prose(line: str) -> str:
    for match in _PROSE.finditer(line):
        head = line[: match.start()]
        if (
            re.search(r"[\d$)]", head)
            and head.count("$") % 2 == 0
            and all(head.count(one) == head.count(other) for one, other in (("\\(", "\\)"), ("{", "}")))
        ):
            return re.sub(r"\s+(?:and|or)$", "", head)
    return line


def _last(response: str, settings: VerifySettings) -> Stated | None:
    """The last formula or quantity of the response; its end, for math-verify, if other mathematics follows it."""
    tail = response[-settings.math_tail_chars :]
    if len(tail) < len(response):
        tail = re.sub(r"^\S*\s", "", tail, count=1)  # not from the middle of a number
    if not tail.strip():
        return None
    tail = re.sub(f"[{CJK}]+", " ", spell_prose(tail)).strip()
    alternatives = _ALTERNATIVES_AT_END.search(tail)
    if alternatives:
        return Stated(alternatives.group(), exact=True)
    formula = _final_formula(tail)
    last = _final_math(tail) or (formula if _NOT_PLAIN.search(formula) else "") or final_quantity(tail) or formula
    return Stated(spell(last), exact=True) if last else Stated(spell(tail), exact=False)


def _final_math(tail: str) -> str | None:
    """The content of the last math delimiters, if no mathematics follows; None for the last of a list."""
    match = _FINAL_MATH.search(tail)
    if match is None or tail.count("$", 0, match.start()) % 2 or _LISTED.search(tail, 0, match.start()):
        return None
    return (match["dollars"] or match["round"] or match["square"]) + match["percent"]


def _final_formula(tail: str) -> str:
    """The formula that follows the last verb: in plain notation, a tuple, or LaTeX without delimiters; else nothing."""
    stated = _AFTER_VERB.search(tail)
    plain = _without_prose(stated[1]).strip(" .*_") if stated and "$" not in stated[1] else ""
    if _FORMULA.fullmatch(plain) or _TUPLE.fullmatch(plain):
        return plain
    return plain if _NOT_PLAIN.search(plain) and not re.search("[A-Za-z]{2}", re.sub(_COMMANDS, "", plain)) else ""


_RULES: dict[ExtractionRule, Callable[[str, VerifySettings], Stated | None]] = {
    "boxed": lambda response, _: boxed(response),
    "marker": lambda response, _: _marked(response),
    "last": _last,
}
