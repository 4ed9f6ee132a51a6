"""Drop responses that repeat themselves, by Gopher's rules over a regex tokenizer.

Text of a form repeats by nature: statements of one kind share many words, formulas have the same first and last line.
So lines of fewer than three words (an environment's `begin`, `</tr>`, `}`) count as duplicates only right after the
same line, a ruled line of a table is one word, and the scales look at longer n-grams than Gopher: the ones that rows of
data share are short, and a loop repeats at any length.

python -m scripts.curate.repetition --recipe JSON --records MANIFEST... --out MANIFEST
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import pyarrow as pa
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

HIT = [("share", pa.float64())]
TEXT = views.response
LINE_WORDS = 3  # a line with fewer words is the frame of something else
RULE = re.compile(r"([^\w\s])\1{2,}")  # of a table or a heading: `-----`, `=====`
CHARACTER_LOOP = re.compile(r"(\S{1,8}?)\1{24,}")
"""A loop within one word, which no n-gram of words sees: `3.333...`, `hahaha...`, `!!!...`."""
LOOP_CHARACTERS = 200  # of such a loop that is most of the response


class RepetitionFilter(GopherRepetitionFilter):
    """DataTrove's filter, for responses long enough that a share of repeated text means repetition.

    It has DataTrove's decisions and reasons (the n-grams shortest first) except for lines of fewer than LINE_WORDS
    words, ruled lines and loops of characters. It joins no string per n-gram: a share is computed only if a bound by
    counts does not already say that it is below its threshold.
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
        loop = max((len(match[0]) for match in CHARACTER_LOOP.finditer(doc.text)), default=0)
        if loop >= LOOP_CHARACTERS and 2 * loop > len(doc.text):
            doc.metadata["share"] = loop / len(doc.text)
            return False, "repeated_characters"
        text = RULE.sub(r"\1", doc.text)
        found = words(text)
        if len(found) < self.minimum_words:
            return True
        if not found:
            return super().filter(doc)
        repeated = self._lines(text) or self._ngrams(text, found)
        if repeated is None:
            return True
        reason, doc.metadata["share"] = repeated
        return False, reason

    def _lines(self, text: str) -> tuple[str, float] | None:
        lines = self._line_splitter.split(text)
        number, characters = find_duplicates(_counted(lines))
        shares = (
            ("dup_line_frac", number / len(lines), self.dup_line_frac),
            ("dup_line_char_frac", characters / len(text), self.dup_line_char_frac),
        )
        return next(((name, share) for name, share, most in shares if most and share > most), None)

    def _ngrams(self, text: str, found: list[str]) -> tuple[str, float] | None:
        longest, commonest = max(map(len, found)), len(found)
        for n, most in sorted(self.top_n_grams):  # an n-gram occurs no more often than the shorter ones in it
            if len(found) >= n and commonest * (n * longest + n - 1) > most * len(text):
                gram, commonest = Counter(tuples(found, n)).most_common(1)[0]
                share = commonest * len(" ".join(gram)) / len(text)
                if share > most:
                    return f"top_{n}_gram", share
        for n, most in self.dup_n_grams:
            if duplicate_bound(found, n, most * len(text)) > most * len(text):
                share = find_all_duplicate(found, n) / len(text)
                if share > most:
                    return f"duplicated_{n}_n_grams", share
        return None


def _counted(lines: list[str]) -> list[str]:
    """The lines that may be duplicates: those with LINE_WORDS words, and shorter ones right after the same line."""
    previous = ["", *lines]
    return [
        line
        for line, before in zip(lines, previous, strict=False)
        if line == before or sum(word.isalnum() for word in words(line)) >= LINE_WORDS
    ]


def duplicate_bound(found: list[str], n: int, enough: float) -> float:
    """At least the characters in repeated n-grams; a rough bound if that is not above `enough`.

    Each n-gram that counts is an occurrence after the first, and no word counts twice: so they hold no more than the
    longest n words for every occurrence after the first.
    """
    repeats = max(len(found) - n + 1, 0) - len(set(tuples(found, n)))
    rough = repeats * n * max(map(len, found))
    return rough if rough <= enough else sum(sorted(map(len, found), reverse=True)[: repeats * n])


def tuples(found: list[str], n: int) -> Iterator[tuple[str, ...]]:
    """The n-grams, in order."""
    return zip(*(found[place:] for place in range(n)), strict=False)


FILTER = RepetitionFilter


def main() -> None:
    with step(__spec__, inputs=("records",), settings=Repetition) as run:
        run.counts |= job_of(run).filter(RepetitionFilter(run.settings), TEXT, hit=HIT)


if __name__ == "__main__":
    main()
