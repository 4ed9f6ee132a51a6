"""Hashes of words and of their n-grams, in arrays: a batch of texts at a time.

A word has one hash, computed once; an n-gram's hash is a sum of its words' hashes, each times the constant of its
place, its bits mixed at the end. So n-grams cost a few multiplications in numpy instead of a joined string each.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from xxhash import xxh3_64_intdigest

Hashes = npt.NDArray[np.uint64]
Counts = npt.NDArray[np.int64]
REMEMBERED = 1_000_000  # words: about 100 MB, more than the vocabulary of any corpus repeats
GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio
HALF = np.uint64(32)


class _WordHashes(dict[str, int]):
    """Word -> hash, filled as words occur."""

    def __missing__(self, word: str) -> int:
        if len(self) >= REMEMBERED:
            self.clear()
        self[word] = value = xxh3_64_intdigest(word)
        return value


_words = _WordHashes()


def constants(seed: int, *shape: int) -> Hashes:
    """Odd 64-bit factors, always the same for one seed."""
    return np.random.default_rng(seed).integers(0, 2**64, size=shape, dtype=np.uint64) | np.uint64(1)


PLACES = constants(0, 64)


def mix_bits(values: Hashes) -> Hashes:
    """Spread every bit over the whole word: a sum of products alone has weak low bits."""
    values = (values ^ (values >> HALF)) * GOLDEN
    return values ^ (values >> HALF)


@dataclass(frozen=True)
class Grams:
    """The n-grams of a batch of texts, one text after the other."""

    values: Hashes
    sizes: Counts
    """Number of n-grams of each text, repeats included; (texts,)."""

    def starts(self) -> Counts:
        """Where each text's n-grams start in `values`."""
        return np.cumsum(self.sizes) - self.sizes

    def texts(self) -> list[Hashes]:
        """The n-grams of each text."""
        return np.split(self.values, np.cumsum(self.sizes)[:-1]) if len(self.sizes) else []


def hashes(words: Iterable[str]) -> Hashes:
    """The hash of each word, in order."""
    return np.fromiter(map(_words.__getitem__, words), np.uint64)


def grams(texts: Sequence[Sequence[str]], length: int) -> Grams:
    """The n-grams of `length` words of each text; a text of fewer words has none.

    Raises ValueError for more than 64 words.
    """
    if not 0 < length <= len(PLACES):
        raise ValueError(f"n-grams of {length} words: 1 to {len(PLACES)} are possible")
    sizes = np.fromiter(map(len, texts), np.int64, len(texts))
    values = hashes(word for text in texts for word in text)
    total = max(len(values) - length + 1, 0)
    found = np.zeros(total, np.uint64)
    for place in range(length):
        found += values[place : place + total] * PLACES[place]
    inside = np.ones(total, bool)  # false for n-grams that reach over the end of a text
    ends = np.cumsum(sizes)
    for back in range(1, length):
        outside = ends - back
        inside[outside[(outside >= 0) & (outside < total)]] = False
    return Grams(mix_bits(found[inside]), np.maximum(sizes - length + 1, 0))
