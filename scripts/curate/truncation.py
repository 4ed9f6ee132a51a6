"""Drop responses that were cut: an open code fence, open brackets of a formula, a last sentence without its end.

python -m scripts.curate.truncation --recipe JSON --records MANIFEST... --out MANIFEST
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import pyarrow as pa
from datatrove.data import Document
from datatrove.pipeline.filters.base_filter import BaseFilter

from scripts.common.step import step
from scripts.curate import views
from scripts.curate.job import job_of
from scripts.curate.settings.truncation import Truncation
from scripts.curate.words import STOPS, WIDE_STOPS, words

HIT = [("ending", pa.string())]
TEXT = views.final_answer
ENDING = 80  # characters of the end of a response that a dropped row shows
FENCE = re.compile(r"^\s*(```+|~~~+)(.*)$", re.MULTILINE)
SPAN = re.compile(r"(?<!`)(`+)(?!`)[^\n]+?(?<!`)\1(?!`)")
COMMAND = r"(?<!\\)(?:\\\\)*\\"  # the backslash of a command: that of a row's end (`\\[6pt]`) opens nothing
FORMULA = tuple(
    (re.compile(COMMAND + opening), re.compile(COMMAND + closing))
    for opening, closing in ((r"\(", r"\)"), (r"\[", r"\]"), (r"begin\{", r"end\{"))
)
CONTINUED = ",([{<+=&"  # nothing ends here
SENTENCE_GAP = re.compile(
    rf"(?<=[\w)\"'][.!?])\s+|(?<=[{WIDE_STOPS}])(?=.)"
)  # a stop after a word: `find . -name` is not a sentence
SENTENCE_END = re.compile(rf"[\w)\"'][{STOPS}]\s*$", re.MULTILINE)
UNIT = (
    r"°\s?[CF]|K|[kcmnµ]?m[²³]?|[kmµ]?g|[mn]?s|min|h|[kMG]?Hz|[km]?W|kWh|m?V|m?A|k?J|N|[kM]?Pa|mol|m?[lL]|km/h|mph|m/s[²]?|"
    r"[KMGT]B|px|dB|lb|oz|ft|USD|EUR|GBP"
)
WHOLE = re.compile(rf"https?://\S+$|[:=]\s*\S*[\dA-Z]$|[≈≠≤≥⊂⊆∈]\s*\S+$|\d\s?(?:{UNIT})$|(?:^|\s)[#@]\w+$")
"""The end of a line that is finished without a stop: a link, `Answer: 42`, `x = 8.75`, `N ⊆ R`, `180 °C`, `#summer`."""
CLOSING = re.compile(
    r"^\s*(?:\w+ ){0,3}(?:regards|sincerely|faithfully|truly|wishes|love|cheers|thanks|best|yours)\s*,$", re.IGNORECASE
)
"""The last line of a letter without a name."""
SYMBOLS = ("So", "Sk", "Mn", "Me", "Cf")  # Unicode categories of emoji and of what modifies them
CUT_BOX = re.compile(r"\\b(o(x(ed?)?)?)?$")
BRACE = re.compile(COMMAND + "[{}]")  # printed, grouping nothing
ITEM = re.compile(r"^\s*([-*+•#|>]|\d+[.)])")  # list items, headings, tables and quotes need no full stop


class TruncationFilter(BaseFilter):
    """Keeps responses that look finished."""

    name = "truncation"

    def __init__(self, settings: Truncation):
        super().__init__()
        self.settings = settings

    def filter(self, doc: Document) -> bool | tuple[bool, str]:
        text = doc.text.rstrip()
        doc.metadata["ending"] = text[-ENDING:]
        fences = [(match[1], match[2]) for match in FENCE.finditer(text)]
        if _open_fence(fences) and _open_nested_fence(fences):
            return False, "open-code-fence"
        if doc.metadata["domain"] == "code" and not fences:
            return True  # a bare program: its last line is not a sentence, and `\(name)` is not a formula
        prose = without_code(text)
        if _open_formula(prose) or _open_box(prose):
            return False, "open-formula"
        return (False, "mid-sentence") if self._cut(text) else True

    def _cut(self, text: str) -> bool:
        """The last line is a sentence without an end, and long enough for one."""
        before, _, last = text.rpartition("\n")
        if not last or last[-1] in self.settings.endings or ITEM.match(last) or WHOLE.search(last):
            return False
        if unicodedata.category(last[-1]) in SYMBOLS or CLOSING.match(last):
            return False
        if last[-1] in CONTINUED:
            return True
        sentences = SENTENCE_GAP.split(last)
        punctuated = len(sentences) > 1 or SENTENCE_END.search(before) is not None
        minimum = self.settings.minimum_words if punctuated else self.settings.unpunctuated_words
        return len(words(sentences[-1])) >= minimum


def _open_fence(fences: Sequence[tuple[str, str]]) -> bool:
    """Whether the last code fence is open, as CommonMark reads (marks, rest of the line) of each line with fence marks.

    A fence is closed by as many or more marks of its kind with nothing after them; other lines in it are text.
    """
    opened = ""
    for marks, rest in fences:
        if not opened:
            opened = marks
        elif marks.startswith(opened) and not rest.strip():
            opened = ""
    return bool(opened)


def _open_nested_fence(fences: Sequence[tuple[str, str]]) -> bool:
    """The same if marks with a language open a fence inside another one, as models write Markdown within Markdown."""
    opened: list[str] = []
    for marks, rest in fences:
        if opened and marks.startswith(opened[-1]) and not rest.strip():
            opened.pop()
        elif not opened or (rest.strip() and marks[0] == opened[-1][0]):
            opened.append(marks)
    return bool(opened)


def without_code(text: str) -> str:
    """The text without code spans and without the lines of code fences, closed or not."""
    lines, opened = [], ""
    for line in text.split("\n"):
        fence = FENCE.match(line)
        if fence is None:
            lines += [] if opened else [line]
        elif not opened:
            opened = fence[1]
        elif fence[1].startswith(opened) and not fence[2].strip():
            opened = ""
    return SPAN.sub(" ", "\n".join(lines))


def _open_formula(text: str) -> bool:
    return any(len(opening.findall(text)) > len(closing.findall(text)) for opening, closing in FORMULA)


def _open_box(text: str) -> bool:
    """The last \\boxed{...} is not closed, or its name is cut."""
    if CUT_BOX.search(text):
        return True
    start = text.rfind("\\boxed{")
    box = BRACE.sub("", text[start:]) if start >= 0 else ""
    return box.count("{") > box.count("}")


FILTER = TruncationFilter


def main() -> None:
    with step(__spec__, inputs=("records",), settings=Truncation) as run:
        run.counts |= job_of(run).filter(TruncationFilter(run.settings), TEXT, hit=HIT)


if __name__ == "__main__":
    main()
