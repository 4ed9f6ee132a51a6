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
STRAIGHT = str.maketrans("\u2019\u2018`", "'''")  # one apostrophe for the patterns


class RefusalFilter(BaseFilter):
    """Keeps records whose answer matches no pattern, but with words of the prompt; a dropped one says what matched."""

    name = "refusal"

    def __init__(self, settings: Refusal):
        super().__init__()
        self.patterns = [re.compile(pattern, re.IGNORECASE) for pattern in settings.patterns]

    def filter(self, doc: Document) -> bool | tuple[bool, str]:
        text = doc.text.translate(STRAIGHT)
        found = [match[0] for pattern in self.patterns for match in pattern.finditer(text)]
        prompt = views.prompt(doc.metadata).translate(STRAIGHT) if found else ""
        said = next((words for words in found if words not in prompt), None)
        if said is None:
            return True
        doc.metadata["matched"] = said
        return False, "refusal"


def main() -> None:
    with step(__spec__, inputs=("records",), settings=Refusal) as run:
        run.counts |= job_of(run).filter(RefusalFilter(run.settings), views.final_answer, hit=HIT)


if __name__ == "__main__":
    main()
