"""Drop records that share n-grams with a benchmark; each dropped row says with which item, and in what words.

A benchmark item's prompt, and its response if it has one, are texts of normalised words. A record is
a hit when it holds at least `threshold` of such a text's n-grams. N-grams in `template_items` or more
different texts say how the benchmark asks, not what, so of the text's other n-grams it must hold as large
a share: a prompt of the same template with other numbers is kept, and `whitelisted/` shows the records
that this rule has saved. A prompt that equals an item's prompt word for word is always a hit, and so is
one that holds a short item's prompt word for word, as sentences of its own, with not too much around it.

python -m scripts.curate.decontaminate --recipe JSON --records MANIFEST... --benchmarks MANIFEST... --out MANIFEST
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from datatrove.data import Document
from datatrove.pipeline.filters.base_filter import BaseFilter
from xxhash import xxh3_64_intdigest

from scripts.common.records import DROPPED, RECORDS, iterate
from scripts.common.step import step
from scripts.curate import views
from scripts.curate.corpus import CurationError
from scripts.curate.grams import grams
from scripts.curate.job import Job, job_of
from scripts.curate.settings.decontaminate import Decontaminate
from scripts.curate.words import CJK, normalise

HIT = [
    ("benchmark", pa.string()),
    ("benchmark_id", pa.string()),
    ("benchmark_text", pa.string()),
    ("matched", pa.string()),
    ("overlap", pa.float64()),
]
WHITELISTED = "whitelisted"
COMPARED = re.compile(rf"[{CJK}](?<=\w)|[^\W_{CJK}]+|[-+*/%^=<>]")
"""Words, numbers and operators; other punctuation says nothing about a text's origin."""
LAYOUT = re.compile(
    r"\\(?:left|right|bigg?[lrm]?|displaystyle|textstyle|limits|quad|qquad|text(?:bf|it|rm)?|math(?:rm|bf|it|bb|cal)|"
    r"operatorname|[,;:!])(?![a-z])|\*\*|(?<=\d)(?:,|\{,\}|\\,)(?=\d{3}(?!\d))",
)
"""What changes how a formula or a number looks and not what it says: `\\left(`, `**bold**`, the comma of 1,000."""
VARIANTS = re.compile(
    r"\\[dtc](?=frac|binom)|\\(?:leq|geq|neq)(?![a-z])|[\u00b7\u00d7\u00f7\u2260\u2264\u2265\u221a\u221e\u03c0]"
)
SPELLING = {
    **{"\\leq": " le ", "\\geq": " ge ", "\\neq": " ne ", "\u00b7": " cdot ", "\u00d7": " times ", "\u00f7": " div "},
    **{"\u2260": " ne ", "\u2264": " le ", "\u2265": " ge ", "\u221a": " sqrt ", "\u221e": " infty ", "\u03c0": " pi "},
}
"""One spelling of commands that mean the same; `\\dfrac` and `\\tbinom` lose their first letter."""
OPENING = 5  # words: an item's prompt of fewer is found only as the whole prompt
SENTENCE = re.compile(r"(?<=[.!?:\u3002\uff01\uff1f\uff1a])\s+|\n+")
SIEVE_BITS = 20  # a table of 1 MiB: of 100,000 n-grams, it passes a tenth of all others


class Item(NamedTuple):
    """One text of a benchmark item: its prompt or its response."""

    benchmark: str
    id: str
    part: str


@dataclass(frozen=True)
class Hit:
    """A benchmark text that a record holds."""

    item: Item
    overlap: float
    """Share of the text's n-grams."""
    matched: str
    template: bool
    """Only n-grams that many items share: not a hit; the record is kept and also written aside."""


@dataclass
class Index:
    """Where the n-grams of the benchmarks' texts occur. A text shorter than n is one n-gram of its own length."""

    threshold: float
    short_room: int
    items: list[Item] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    """Distinct n-grams of each text."""
    own_sizes: list[int] = field(default_factory=list)
    """Distinct n-grams of each text that are not templates."""
    places: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    """n-gram -> texts that have it."""
    templates: set[int] = field(default_factory=set)
    prompts: dict[int, int] = field(default_factory=dict)
    """Whole prompt -> its text."""
    short: dict[int, list[tuple[int, list[str]]]] = field(default_factory=lambda: defaultdict(list))
    """First OPENING words of a prompt too short for n-grams -> its text, and its words."""
    lengths: set[int] = field(default_factory=set)
    """Lengths of the n-grams in use."""
    smallest: dict[int, int] = field(default_factory=dict)
    """n-gram -> least number of n-grams of a text that has it."""
    sieve: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(1 << SIEVE_BITS, bool))
    """Whether some n-gram has these leading bits: rules out nearly all of a record's n-grams at once."""

    def suspects(self, records: Sequence[dict[str, Any]]) -> list[dict[str, Any] | None]:
        """The records that may be hits; None in place of those that cannot be, because they share too few n-grams."""
        parts = [part for record in records for part in (tokens(views.prompt(record)), tokens(views.response(record)))]
        shared: list[set[int]] = [set() for _ in records]
        for length in self.lengths:
            found = grams(parts, length)
            place = np.flatnonzero(self.sieve[found.values >> np.uint64(64 - SIEVE_BITS)])
            texts = np.searchsorted(np.cumsum(found.sizes), place, side="right")
            for text, value in zip(texts.tolist(), found.values[place].tolist(), strict=True):
                if value in self.smallest:
                    shared[text // 2].add(value)
        whole = [_digest(prompt) in self.prompts for prompt in parts[::2]]
        short = self._openings(parts[::2])
        return [
            record if same or index in short or self._enough(values) else None
            for index, (record, same, values) in enumerate(zip(records, whole, shared, strict=True))
        ]

    def _openings(self, prompts: list[list[str]]) -> set[int]:
        """The prompts that hold the first words of a short item."""
        found = grams(prompts, OPENING)
        place = np.flatnonzero(np.isin(found.values, np.fromiter(self.short, np.uint64, len(self.short))))
        return set(np.searchsorted(np.cumsum(found.sizes), place, side="right").tolist())

    def _enough(self, values: set[int]) -> bool:
        """Whether these n-grams would make a hit if they were all of the smallest text that has one of them."""
        return bool(values) and len(values) >= self.threshold * min(map(self.smallest.__getitem__, values))

    def find(self, record: dict[str, Any]) -> Hit | None:
        """The benchmark text that the record holds most of; None if that is less than the threshold."""
        parts = [tokens(views.prompt(record)), tokens(views.response(record))]
        whole = self.prompts.get(_digest(parts[0])) if parts[0] else None
        if whole is not None:
            return Hit(self.items[whole], 1.0, " ".join(parts[0]), template=False)
        short = self._short_item(record, parts[0])
        if short is not None:
            return Hit(self.items[short[0]], 1.0, " ".join(short[1]), template=False)
        found = self._shared(parts)
        ranked = sorted(found, key=lambda text: (self._template(text, found[text]), -self._overlap(text, found), text))
        if not ranked or self._overlap(ranked[0], found) < self.threshold:
            return None
        best = ranked[0]
        matched = self._matched(parts, found[best])
        return Hit(self.items[best], self._overlap(best, found), matched, self._template(best, found[best]))

    def _short_item(self, record: dict[str, Any], prompt: list[str]) -> tuple[int, list[str]] | None:
        """The first short item that is in the prompt word for word, as sentences of its own: `What is 3 + 4?` is not in
        `What is 3 + 4 - 5?`."""
        candidates = {value: self.short[value] for value in _grams(prompt, OPENING) if value in self.short}
        if not candidates:
            return None
        sentences = [tokens(text) for text in SENTENCE.split(views.prompt(record))]
        ends = list(accumulate(map(len, sentences)))
        starts = [0, *ends[:-1]]
        for text, item in (found for value in candidates for found in candidates[value]):
            runs = (prompt[start : start + len(item)] for start in starts if start + len(item) in ends)
            if item in runs and len(prompt) <= self.short_room * len(item):
                return text, item
        return None

    def _shared(self, parts: list[list[str]]) -> dict[int, set[int]]:
        """Text -> the n-grams that the record shares with it."""
        found: dict[int, set[int]] = defaultdict(set)
        for part in parts:
            for length in self.lengths:
                for value in _grams(part, length):
                    for text in self.places.get(value, ()):
                        found[text].add(value)
        return found

    def _overlap(self, text: int, found: dict[int, set[int]]) -> float:
        return len(found[text]) / self.sizes[text]

    def _template(self, text: int, values: set[int]) -> bool:
        """Whether too few of the n-grams that only this text has are among the shared ones."""
        own = len(values - self.templates)
        return own == 0 or own < self.threshold * self.own_sizes[text]

    def _matched(self, parts: list[list[str]], values: set[int]) -> str:
        """The record's words that the n-grams cover, with an ellipsis for each gap."""
        covered: list[str] = []
        for part in parts:
            inside = {
                position
                for length in self.lengths
                for start, value in enumerate(_grams(part, length))
                if value in values
                for position in range(start, start + length)
            }
            for position in sorted(inside):
                if covered and position - 1 not in inside:
                    covered.append("...")
                covered.append(part[position])
        return " ".join(covered)


def tokens(text: str) -> list[str]:
    """The normalised words of `text` that are compared."""
    plain = VARIANTS.sub(lambda found: SPELLING.get(found[0], "\\"), LAYOUT.sub("", normalise(text)))
    return COMPARED.findall(plain)


def _grams(part: list[str], length: int) -> list[int]:
    """Hashes of the n-grams of `length` words, in order."""
    return grams([part], length).values.tolist()


def _digest(part: list[str]) -> int:
    return xxh3_64_intdigest(" ".join(part))


def build(benchmarks: Iterable[dict[str, Any]], settings: Decontaminate) -> Index:
    """Index the benchmarks' records by their ids, never by row; null and empty texts are skipped."""
    index = Index(settings.threshold, settings.short_room)
    seen: set[int] = set()
    for record in benchmarks:
        prompt, response = tokens(views.prompt(record)), tokens(views.response(record))
        if prompt:
            index.prompts.setdefault(_digest(prompt), len(index.items))
            if OPENING <= len(prompt) < settings.minimum_words:
                index.short[_grams(prompt[:OPENING], OPENING)[0]].append((len(index.items), prompt))
            _add(index, Item(record["source"], record["id"], "prompt"), prompt, seen, settings)
        if len(response) >= settings.ngram:  # a shorter response ("42") is not evidence
            _add(index, Item(record["source"], record["id"], "response"), response, seen, settings)
    index.templates = {value for value, texts in index.places.items() if len(texts) >= settings.template_items}
    own = Counter(text for value, texts in index.places.items() if value not in index.templates for text in texts)
    index.smallest = {value: min(index.sizes[text] for text in texts) for value, texts in index.places.items()}
    known = np.fromiter(index.places, np.uint64, len(index.places))
    index.sieve[known >> np.uint64(64 - SIEVE_BITS)] = True
    index.own_sizes = [own[text] for text in range(len(index.items))]
    return index


def _add(index: Index, item: Item, text: list[str], seen: set[int], settings: Decontaminate) -> None:
    """Enter one text. The same text in two benchmarks counts once, so that this does not make it a template."""
    length, digest = min(settings.ngram, len(text)), _digest(text)
    fits = len(text) >= settings.minimum_words and digest not in seen
    values = set(_grams(text, length)) if fits else set()
    seen.add(digest)
    for value in values:
        index.places[value].append(len(index.items))
    index.lengths.update({length} if values else ())
    index.items.append(item)
    index.sizes.append(len(values))


@cache
def load(folders: tuple[Path, ...], settings: Decontaminate) -> Index:
    """The index of the benchmarks in `folders`; made once, before workers are forked."""
    return build((record for folder in folders for record in iterate(folder)), settings)


class DecontaminationFilter(BaseFilter):
    """Keeps records that hold no benchmark text. Those that only share a template are kept with that reason."""

    name = "decontaminate"

    def __init__(self, benchmarks: tuple[Path, ...], settings: Decontaminate):
        super().__init__()
        self.benchmarks = benchmarks
        self.settings = settings

    def filter(self, doc: Document) -> bool | tuple[bool, str]:
        return self.filter_batch([doc])[0]

    def filter_batch(self, batch: list[Document]) -> list[bool | tuple[bool, str]]:
        index = load(self.benchmarks, self.settings)
        suspects = index.suspects([doc.metadata for doc in batch])
        return [
            _verdict(doc, index.find(record) if record else None) for doc, record in zip(batch, suspects, strict=True)
        ]


def _verdict(doc: Document, hit: Hit | None) -> bool | tuple[bool, str]:
    if hit is None:
        return True
    doc.metadata |= {
        "benchmark": hit.item.benchmark,
        "benchmark_id": hit.item.id,
        "benchmark_text": hit.item.part,
        "matched": hit.matched,
        "overlap": hit.overlap,
    }
    return (True, "template") if hit.template else (False, "contaminated")


def decontaminate(work: Job, settings: Decontaminate, benchmarks: tuple[Path, ...]) -> dict[str, Any]:
    """Write kept, dropped and whitelisted records; the counts of the manifest."""
    index = load(benchmarks, settings)
    if not index.items:
        raise CurationError(
            f"there is nothing to decontaminate against: {len(benchmarks)} benchmarks without a text. Name some in "
            "`benchmarks:`, or leave the step out of the pool"
        )
    block = DecontaminationFilter(benchmarks, settings)
    counts = work.filter(block, lambda _: "", hit=HIT, aside=WHITELISTED)
    return counts | {
        "hits": _by_benchmark(work.out / DROPPED),
        "whitelisted": _by_benchmark(work.out / WHITELISTED),
        "index": {
            "texts": dict(sorted(Counter(item.benchmark for item in index.items).items())),
            "ngrams": len(index.places),
            "templates": len(index.templates),
        },
    }


def _by_benchmark(folder: Path) -> dict[str, int]:
    return dict(sorted(Counter(row["benchmark"] for row in iterate(folder, ["benchmark"])).items()))


def main() -> None:
    with step(__spec__, inputs=("records", "benchmarks"), settings=Decontaminate) as run:
        benchmarks = tuple(item.folder / RECORDS for item in run.inputs["benchmarks"])
        run.counts |= decontaminate(job_of(run), run.settings, benchmarks)


if __name__ == "__main__":
    main()
