"""Drop records whose prompt or response is in a language that is not kept.

python -m scripts.curate.language --recipe JSON --records MANIFEST... --out MANIFEST
"""

from __future__ import annotations

import pyarrow as pa
from datatrove.data import Document
from datatrove.pipeline.filters.base_filter import BaseFilter

from scripts.common.step import step
from scripts.curate import views
from scripts.curate.job import job_of
from scripts.curate.languages import check_languages, foreign
from scripts.curate.settings.language import Language

HIT = [("language", pa.string()), ("probability", pa.float64()), ("kept_probability", pa.float64())]
TEXT = views.whole


class LanguageFilter(BaseFilter):
    """Keeps records in the kept languages, and those with too little prose to tell."""

    name = "language"

    def __init__(self, settings: Language):
        super().__init__()
        self.settings = settings
        check_languages(settings.keep)

    def filter(self, doc: Document) -> bool | tuple[bool, str]:
        judged = {"prompt": views.prompt(doc.metadata)}
        if doc.metadata["domain"] not in self.settings.prompt_only:
            judged["response"] = views.response(doc.metadata)
        for part, text in judged.items():
            found = foreign(text, self.settings.keep, self.settings.threshold, self.settings.minimum_letters)
            if found is not None:
                doc.metadata["language"], doc.metadata["probability"] = found.language, found.probability
                doc.metadata["kept_probability"] = found.kept
                return False, f"{part}-language"
        return True


FILTER = LanguageFilter


def main() -> None:
    with step(__spec__, inputs=("records",), settings=Language) as run:
        run.counts |= job_of(run).filter(LanguageFilter(run.settings), TEXT, hit=HIT)


if __name__ == "__main__":
    main()
