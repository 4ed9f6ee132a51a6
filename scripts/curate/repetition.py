"""Drop responses that repeat themselves, by Gopher's rules over a regex tokenizer.

python -m scripts.curate.repetition --recipe JSON --records MANIFEST... --out MANIFEST
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from datatrove.data import Document
from datatrove.pipeline.filters.gopher_repetition_filter import (
    GopherRepetitionFilter,
    find_all_duplicate,
    find_duplicates,
)

from scripts.common.step import step
from scripts.curate import views
from scripts.curate.job import job_of
from scripts.curate.settings.repetition import Repetition
from scripts.curate.words import RegexTokenizer, words


class RepetitionFilter(GopherRepetitionFilter):
    """DataTrove's filter, for responses long enough that a share of repeated text means repetition.

    Its decisions and reasons (the n-grams shortest first), without a joined string for each n-gram: a share is computed
    only where a bound by counts does not already say that it is below its threshold.
    """

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
        found = words(doc.text)
        if len(found) < self.minimum_words:
            return True
        if not found:
            return super().filter(doc)
        reason = self._lines(doc.text) or self._ngrams(doc.text, found)
        return (False, reason) if reason else True

    def _lines(self, text: str) -> str | None:
        lines = self._line_splitter.split(text)
        number, characters = find_duplicates(lines)
        if self.dup_line_frac and number / len(lines) > self.dup_line_frac:
            return "dup_line_frac"
        return (
            "dup_line_char_frac"
            if self.dup_line_char_frac and characters / len(text) > self.dup_line_char_frac
            else None
        )

    def _ngrams(self, text: str, found: list[str]) -> str | None:
        longest, commonest = max(map(len, found)), len(found)
        for n, share in sorted(self.top_n_grams):  # an n-gram occurs no more often than the shorter ones in it
            if len(found) >= n and commonest * (n * longest + n - 1) > share * len(text):
                gram, commonest = Counter(tuples(found, n)).most_common(1)[0]
                if commonest * len(" ".join(gram)) / len(text) > share:
                    return f"top_{n}_gram"
        for n, share in self.dup_n_grams:
            possible = duplicate_bound(found, n, share * len(text)) > share * len(text)
            if possible and find_all_duplicate(found, n) / len(text) > share:
                return f"duplicated_{n}_n_grams"
        return None


def duplicate_bound(found: list[str], n: int, enough: float) -> float:
    """At least the characters in repeated n-grams; a rough bound where that is not above `enough`.

    Each n-gram that counts is an occurrence after the first, and no word counts twice: so they hold no more than the
    longest n words for every occurrence after the first.
    """
    repeats = max(len(found) - n + 1, 0) - len(set(tuples(found, n)))
    rough = repeats * n * max(map(len, found))
    return rough if rough <= enough else sum(sorted(map(len, found), reverse=True)[: repeats * n])


def tuples(found: list[str], n: int) -> Iterator[tuple[str, ...]]:
    """The n-grams, in order."""
    return zip(*(found[place:] for place in range(n)), strict=False)


def main() -> None:
    with step(__spec__, inputs=("records",), settings=Repetition) as run:
        run.counts |= job_of(run).filter(RepetitionFilter(run.settings), views.response)


if __name__ == "__main__":
    main()
