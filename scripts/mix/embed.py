"""Embedding of prompts: TF-IDF of words and word pairs, reduced by a truncated SVD (latent semantic analysis)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

from scripts.curate.words import normalise, words
from scripts.mix.select import Vectors


def embed(texts: Sequence[str], dimensions: int, seed: int) -> Vectors:
    """Unit vectors (n, at most `dimensions`); texts without a word have the zero vector."""
    vectorizer = TfidfVectorizer(tokenizer=_split, token_pattern=None, lowercase=False, ngram_range=(1, 2))
    try:
        weights = vectorizer.fit_transform(texts)
    except ValueError:  # no text holds a word
        return np.zeros((len(texts), 1))
    if weights.shape[1] <= dimensions:
        return normalize(weights.toarray())
    return normalize(TruncatedSVD(dimensions, random_state=seed).fit_transform(weights))


def _split(text: str) -> list[str]:
    return words(normalise(text))
