"""Drop records whose prompt or response is in a language that is not kept.

python -m scripts.curate.language --recipe JSON --records MANIFEST... --classifier MANIFEST --out MANIFEST
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
from datatrove.data import Document
from datatrove.pipeline.filters.base_filter import BaseFilter

from scripts.common.step import step
from scripts.curate import views
from scripts.curate.classifier import MODEL, check_labels, language_text, letters, load, probabilities
from scripts.curate.job import job_of
from scripts.curate.settings.language import Language

HIT = [("language", pa.string()), ("probability", pa.float64())]


class LanguageFilter(BaseFilter):
    """Keeps records in the kept languages; what is too short to tell is kept."""

    name = "language"

    def __init__(self, settings: Language, model: Path):
        super().__init__()
        self.settings = settings
        self.model = model

    def filter(self, doc: Document) -> bool | tuple[bool, str]:
        judged = {"prompt": views.prompt(doc.metadata)}
        if doc.metadata["domain"] not in self.settings.prompt_only:
            judged["response"] = views.response(doc.metadata)
        for part, text in judged.items():
            cleaned = language_text(text)
            if letters(cleaned) < self.settings.minimum_letters:
                continue
            found = probabilities(self.model, cleaned)
            if sum(found.get(language, 0.0) for language in self.settings.keep) < self.settings.threshold:
                doc.metadata["language"], doc.metadata["probability"] = next(iter(found.items()))
                return False, f"{part}-language"
        return True


def main() -> None:
    with step(__spec__, inputs=("records", "classifier"), settings=Language) as run:
        model = run.input("classifier").folder / MODEL
        load(model)
        check_labels(model, run.settings.keep)
        run.counts |= job_of(run).filter(LanguageFilter(run.settings, model), views.whole, hit=HIT)


if __name__ == "__main__":
    main()
