"""Drop records that are too short or too long, in words of prompt and response together, by domain.

python -m scripts.curate.length --recipe JSON --records MANIFEST... --out MANIFEST
"""

from __future__ import annotations

import pyarrow as pa
from datatrove.data import Document
from datatrove.pipeline.filters.base_filter import BaseFilter

from scripts.common.step import step
from scripts.curate import views
from scripts.curate.job import job_of
from scripts.curate.settings.length import Length
from scripts.curate.words import words

HIT = [("words", pa.int64())]
TEXT = views.whole


class LengthFilter(BaseFilter):
    """Keeps records of `minimum` to `maximum` words; a domain may have its own maximum."""

    name = "length"

    def __init__(self, settings: Length):
        super().__init__()
        self.settings = settings

    def filter(self, doc: Document) -> bool | tuple[bool, str]:
        count = len(words(doc.text))
        doc.metadata["words"] = count
        if count < self.settings.minimum:
            return False, "too-short"
        maximum = self.settings.maximum_by_domain.get(doc.metadata["domain"], self.settings.maximum)
        return (False, "too-long") if count > maximum else True


FILTER = LengthFilter


def main() -> None:
    with step(__spec__, inputs=("records",), settings=Length) as run:
        run.counts |= job_of(run).filter(LengthFilter(run.settings), TEXT, hit=HIT)


if __name__ == "__main__":
    main()
