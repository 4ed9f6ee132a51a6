"""Vectors of prompts: those of an encoder model, or TF-IDF of words and word pairs reduced by a truncated SVD (latent
semantic analysis).

TF-IDF and SVD are fitted on a sample of the prompts and applied to all of them in batches, so that memory holds the
sample and the vectors (float32), whatever the length of the texts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

from scripts.common.records import prompt_of
from scripts.curate.words import normalise, words
from scripts.mix.candidates import Candidate
from scripts.mix.quotas import MixError
from scripts.mix.select import Vectors, by_draw
from scripts.mix.settings import Select
from scripts.mix.shuffle import batches, pick

LENGTH = 20_000
"""Characters of a prompt that are read: a message may have 10 MB."""


class Embedder:
    """TF-IDF and SVD fitted on a sample of texts; words that are not in the sample are ignored."""

    def __init__(self, sample: Sequence[str], dimensions: int, seed: int) -> None:
        self.vectorizer = TfidfVectorizer(tokenizer=_split, token_pattern=None, lowercase=False, ngram_range=(1, 2))
        self.reduction: TruncatedSVD | None = None
        try:
            weights = self.vectorizer.fit_transform(sample)
        except ValueError:  # no text holds a word
            self.dimensions = 0
            return
        self.dimensions = weights.shape[1]
        if weights.shape[1] > dimensions:
            self.reduction = TruncatedSVD(dimensions, random_state=seed).fit(weights)
            self.dimensions = len(self.reduction.components_)  # fewer than `dimensions` if the sample has fewer texts

    def __call__(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors (n, at most `dimensions`); a text without a known word has the zero vector."""
        if not self.dimensions:
            return np.zeros((len(texts), 1), np.float32)
        weights = self.vectorizer.transform(texts)
        reduced = self.reduction.transform(weights) if self.reduction is not None else weights.toarray()
        return normalize(reduced).astype(np.float32)


def _split(text: str) -> list[str]:
    return words(normalise(text[:LENGTH]))


def tfidf_vectors(items: Sequence[Candidate], folders: Sequence[Path], settings: Select, seed: int) -> Vectors:
    """The reduced TF-IDF vector of each candidate's prompt, [candidates, dimensions].

    The folders are read twice: for the sample that the embedding is fitted on, then for all prompts.
    """
    sample = by_draw([item.id for item in items], seed)[: settings.fitted_on]
    fitted_on = [text for _, texts in _prompts([items[i] for i in sorted(sample)], folders) for text in texts]
    embed = Embedder(fitted_on, settings.dimensions, seed)
    vectors = np.zeros((len(items), max(1, embed.dimensions)), np.float32)
    for places, texts in _prompts(items, folders):
        vectors[places] = embed(texts)
    return vectors


def encoder_vectors(items: Sequence[Candidate], folder: Path, name: str) -> Vectors:
    """The encoder's vector of each candidate's prompt, [candidates, width], from the records of `scripts.mix.encode`.

    Raises MixError if a prompt has none.
    """
    places: dict[str, list[int]] = defaultdict(list)
    for place, item in enumerate(items):
        places[item.id].append(place)
    vectors: Vectors | None = None
    missing = set(places)
    for _, batch in batches([folder]):
        column = batch.column("vector")
        block = column.flatten().to_numpy(zero_copy_only=False).reshape(len(batch), -1)
        if vectors is None:
            vectors = np.zeros((len(items), block.shape[1]), np.float32)
        for row, prompt_id in enumerate(batch.column("id").to_pylist()):
            if prompt_id in missing:
                vectors[places[prompt_id]] = block[row]
                missing.discard(prompt_id)
    if missing or vectors is None:
        raise MixError(
            f"datasets.{name}: {folder} has no vector for {len(missing)} of its prompts, the first {min(missing)}: "
            "they are of another pool; encode this one"
        )
    return vectors


def _prompts(items: Sequence[Candidate], folders: Sequence[Path]) -> Iterator[tuple[np.ndarray, list[str]]]:
    """The prompts of the candidates in batches, each with the positions of its candidates."""
    rows = np.array([item.row for item in items])
    order = np.argsort(rows)
    for batch, ranks in pick(folders, rows, ["messages"]):
        yield order[ranks], [prompt_of(messages) for messages in batch.column("messages").to_pylist()]
