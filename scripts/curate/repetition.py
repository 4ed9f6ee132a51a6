"""Drop responses that repeat themselves, by Gopher's rules over a regex tokenizer.

python -m scripts.curate.repetition --recipe JSON --records MANIFEST... --out MANIFEST
"""

from __future__ import annotations

from datatrove.data import Document
from datatrove.pipeline.filters.gopher_repetition_filter import GopherRepetitionFilter

from scripts.common.step import step
from scripts.curate import views
from scripts.curate.frame import job
from scripts.curate.settings import Repetition
from scripts.curate.words import RegexTokenizer, words


class RepetitionFilter(GopherRepetitionFilter):
    """DataTrove's filter, for responses long enough that a share of repeated text means repetition."""

    name = "repetition"

    def __init__(self, settings: Repetition):
        super().__init__(
            dup_line_frac=settings.duplicate_lines,
            dup_para_frac=None,
            dup_line_char_frac=settings.duplicate_line_chars,
            dup_para_char_frac=None,
            top_n_grams=settings.top_ngrams,
            dup_n_grams=settings.duplicate_ngrams,
            language=RegexTokenizer(),
        )
        self.minimum_words = settings.minimum_words

    def filter(self, doc: Document) -> bool | tuple[bool, str]:
        if len(words(doc.text)) < self.minimum_words:
            return True
        return super().filter(doc)


def main() -> None:
    with step(__spec__, inputs=("records",), settings=Repetition) as run:
        run.counts |= job(run).filter(RepetitionFilter(run.settings), views.response)


if __name__ == "__main__":
    main()
