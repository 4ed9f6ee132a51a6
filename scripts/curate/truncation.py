"""Drop responses that were cut: an open code fence, open brackets of a formula, a last sentence without its end.

python -m scripts.curate.truncation --recipe JSON --records MANIFEST... --out MANIFEST
"""

from __future__ import annotations

import re

from datatrove.data import Document
from datatrove.pipeline.filters.base_filter import BaseFilter

from scripts.common.step import step
from scripts.curate import views
from scripts.curate.frame import job
from scripts.curate.settings import Truncation
from scripts.curate.words import STOPS, WIDE_STOPS, words

FENCE = re.compile(r"^\s*(```|~~~)", re.MULTILINE)
FORMULA = (("\\(", "\\)"), ("\\[", "\\]"), ("\\begin{", "\\end{"))
CONTINUED = ",([{<+=&"  # nothing ends here
SENTENCE_GAP = re.compile(
    rf"(?<=[\w)\"'][.!?])\s+|(?<=[{WIDE_STOPS}])(?=.)"
)  # a stop after a word: `find . -name` is no sentence
SENTENCE_END = re.compile(rf"[\w)\"'][{STOPS}]\s*$", re.MULTILINE)
WHOLE = re.compile(r"https?://\S+$|:\s*\S*[\dA-Z]$")  # a link, or `Answer: 42`: finished without a stop
CUT_BOX = re.compile(r"\\b(o(x(ed?)?)?)?$")
ITEM = re.compile(r"^\s*([-*+•#|>]|\d+[.)])")  # list items, headings, tables and quotes need no full stop


class TruncationFilter(BaseFilter):
    """Keeps responses that look finished."""

    name = "truncation"

    def __init__(self, settings: Truncation):
        super().__init__()
        self.settings = settings

    def filter(self, doc: Document) -> bool | tuple[bool, str]:
        text = doc.text.rstrip()
        if len(FENCE.findall(text)) % 2:
            return False, "open-code-fence"
        if any(text.count(opening) > text.count(closing) for opening, closing in FORMULA) or _open_box(text):
            return False, "open-formula"
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


def _open_box(text: str) -> bool:
    """The last \\boxed{...} is not closed, or its name is cut."""
    if CUT_BOX.search(text):
        return True
    start = text.rfind("\\boxed{")
    return start >= 0 and text.count("{", start) > text.count("}", start)


def main() -> None:
    with step(__spec__, inputs=("records",), settings=Truncation) as run:
        run.counts |= job(run).filter(TruncationFilter(run.settings), views.final_answer)


if __name__ == "__main__":
    main()
