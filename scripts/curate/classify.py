"""Give a domain to the records whose source states none, by the fastText classifier. The step drops nothing.

python -m scripts.curate.classify --recipe JSON --records MANIFEST... --classifier MANIFEST --out MANIFEST
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pyarrow as pa
from datatrove.data import Document
from datatrove.pipeline.filters.base_filter import BaseFilter

from scripts.common.records import RECORDS, iterate
from scripts.common.step import step
from scripts.curate.classifier import MODEL, domain_text, load, probabilities
from scripts.curate.job import job_of
from scripts.curate.settings.classify import Classify
from scripts.curate.views import prompt

UNSURE = "general"
ADDED = [("domain", pa.string()), ("domain_probability", pa.float64())]
"""The probability is null if the source states the domain."""


class DomainClassifier(BaseFilter):
    """Keeps every record, and fills the empty domains."""

    name = "classify"

    def __init__(self, settings: Classify, model: Path):
        super().__init__()
        self.settings = settings
        self.model = model

    def filter(self, doc: Document) -> bool:
        if not doc.metadata["domain"]:
            domain, probability = next(iter(probabilities(self.model, domain_text(doc.text)).items()))
            doc.metadata["domain"] = domain if probability >= self.settings.threshold else UNSURE
            doc.metadata["domain_probability"] = probability
        return True


def main() -> None:
    with step(__spec__, inputs=("records", "classifier"), settings=Classify) as run:
        model = run.input("classifier").folder / MODEL
        load(model)
        run.counts |= job_of(run).filter(DomainClassifier(run.settings, model), prompt, added=ADDED)
        rows = iterate(run.out / RECORDS, ["domain", "domain_probability"])
        classified = Counter(row["domain"] for row in rows if row["domain_probability"] is not None)
        run.counts["classified"] = dict(sorted(classified.items()))


if __name__ == "__main__":
    main()
