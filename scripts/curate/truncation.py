"""Drop responses that were cut: an open code fence, open brackets of a formula, a last sentence without its end.

python -m scripts.curate.truncation --recipe JSON --records MANIFEST... --out MANIFEST
"""

from __future__ import annotations

import re

from datatrove.data import Document
from datatrove.pipeline.filters.base_filter import BaseFilter

from scripts.common.step import step
from scripts.curate import views
from scripts.curate.job import job_of
from scripts.curate.settings.truncation import Truncation
from scripts.curate.words import STOPS, WIDE_STOPS, words

FENCE = re.compile(r"^\s*(```|~~~)", re.MULTILINE)
COMMAND = r"(?<!\\)(?:\\\\)*\\"  # the backslash of a command: that of a row's end (`\\[6pt]`) opens nothing
FORMULA = tuple(
    (re.compile(COMMAND + opening), re.compile(COMMAND + closing))
    for opening, closing in ((r"\(", r"\)"), (r"\[", r"\]"), (r"begin\{", r"end\{"))
)
CONTINUED = ",([{<+=&"  # nothing ends here
SENTENCE_GAP = re.compile(
    rf"(?<=[\w)\"'][.!?])\s+|(?<=[{WIDE_STOPS}])(?=.)"
)  # a stop after a word: `find . -name` is no sentence
SENTENCE_END = re.compile(rf"[\w)\"'][{STOPS}]\s*$", re.MULTILINE)
WHOLE = re.compile(r"https?://\S+$|[:=]\s*\S*[\dA-Z]$")  # a link, `Answer: 42`, `x = 8.75`: finished without a stop
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
        if _open_fence(text):
            return False, "open-code-fence"
        if _open_formula(text) or _open_box(text):
            return False, "open-formula"
        if doc.metadata["domain"] == "code" and not FENCE.search(text):
            return True  # a bare program: its last line is no sentence
        return (False, "mid-sentence") if self._cut(text) else True

    def _cut(self, text: str) -> bool:
        """The last line is a sentence without an end, and long enough for one."""
        before, _, last = text.rpartition("\n")
        if not last or last[-1] in self.settings.endings or ITEM.match(last) or WHOLE.search(last):
            return False
        if last[-1] in CONTINUED:
            return True
        sentences = SENTENCE_GAP.split(last)
        punctuated = len(sentences) > 1 or SENTENCE_END.search(before) is not None
        minimum = self.settings.minimum_words if punctuated else self.settings.unpunctuated_words
        return len(words(sentences[-1])) >= minimum


def _open_fence(text: str) -> bool:
    """The last code fence is not closed; inside one the other kind of fence is text."""
    fence = None
    for found in FENCE.findall(text):
        fence = found if fence is None else None if found == fence else fence
    return fence is not None


def _open_formula(text: str) -> bool:
    return any(len(opening.findall(text)) > len(closing.findall(text)) for opening, closing in FORMULA)


def _open_box(text: str) -> bool:
    """The last \\boxed{...} is not closed, or its name is cut."""
    if CUT_BOX.search(text):
        return True
    start = text.rfind("\\boxed{")
    box = BRACE.sub("", text[start:]) if start >= 0 else ""
    return box.count("{") > box.count("}")


def main() -> None:
    with step(__spec__, inputs=("records",), settings=Truncation) as run:
        run.counts |= job_of(run).filter(TruncationFilter(run.settings), views.final_answer)


if __name__ == "__main__":
    main()
