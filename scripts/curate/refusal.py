"""Drop refusals and boilerplate about being a model, by the regular expressions of the configuration.

python -m scripts.curate.refusal --recipe JSON --records MANIFEST... --out MANIFEST
"""

from __future__ import annotations

import re

import pyarrow as pa
from datatrove.data import Document
from datatrove.pipeline.filters.base_filter import BaseFilter

from scripts.common.step import step
from scripts.curate import views
from scripts.curate.job import job_of
from scripts.curate.settings.refusal import Refusal

HIT = [("matched", pa.string())]
TEXT = views.final_answer
STRAIGHT = str.maketrans("\u2019\u2018", "''")  # one apostrophe for the patterns
QUOTED = re.compile(
    r'```.*?(?:```|\Z)|`[^`\n]*`|"[^"\n]*"|\u201c[^\u201d\n]*\u201d|\u300c[^\u300d\n]*\u300d|\u300e[^\u300f\n]*\u300f',
    re.DOTALL,
)
"""Code, and what a text puts into quotation marks: somebody else says it, a robot in a story for example."""


class RefusalFilter(BaseFilter):
    """Drops answers that match a pattern, unless the prompt contains the matched words."""

    name = "refusal"

    def __init__(self, settings: Refusal):
        super().__init__()
        self.patterns = [re.compile(pattern, re.IGNORECASE) for pattern in settings.patterns]

    def filter(self, doc: Document) -> bool | tuple[bool, str]:
        text = QUOTED.sub(" ", doc.text.translate(STRAIGHT)).strip()
        matches = [match[0] for pattern in self.patterns for match in pattern.finditer(text)]
        prompt = views.prompt(doc.metadata).translate(STRAIGHT) if matches else ""
        refusal = next((words for words in matches if words not in prompt), None)
        if refusal is None:
            return True
        doc.metadata["matched"] = refusal
        return False, "refusal"


FILTER = RefusalFilter


def main() -> None:
    with step(__spec__, inputs=("records",), settings=Refusal) as run:
        run.counts |= job_of(run).filter(RefusalFilter(run.settings), TEXT, hit=HIT)


if __name__ == "__main__":
    main()
