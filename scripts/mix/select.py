"""Which records of a domain are taken: at random, evenly over clusters, or by k-center greedy.

All take positions 0 ... n-1 and give `size` of them; all are deterministic.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, zip_longest

import numpy as np
import numpy.typing as npt

from scripts.mix.candidates import draw
from scripts.mix.settings import Select

Vectors = npt.NDArray[np.float64]


def choose(settings: Select, ids: Sequence[str], texts: Sequence[str], size: int, seed: int) -> list[int]:
    """Positions of the records taken; `texts` (the prompts) are needed by all but `random`."""
    order = sorted(range(len(ids)), key=lambda position: draw(seed, "select", ids[position]))
    if settings.kind == "random" or size == len(ids):
        return order[:size]
    from scripts.mix.embed import embed  # scikit-learn takes seconds to import

    vectors = embed(texts, settings.dimensions, seed)
    if settings.kind == "k-center":
        return k_center(vectors, size)
    return evenly(clusters(vectors, settings.clusters, seed), order, size)


def clusters(vectors: Vectors, count: int, seed: int) -> list[int]:
    """The k-means cluster of each vector."""
    from sklearn.cluster import KMeans

    distinct = len(np.unique(vectors, axis=0))
    return KMeans(min(count, distinct), n_init=4, random_state=seed).fit_predict(vectors).tolist()


def evenly(labels: Sequence[int], order: Sequence[int], size: int) -> list[int]:
    """`size` positions, as many from every cluster as it and the others can give; within a cluster by `order`."""
    members: dict[int, list[int]] = {label: [] for label in sorted(set(labels))}
    for position in order:
        members[labels[position]].append(position)
    rounds = chain.from_iterable(zip_longest(*members.values()))
    return [position for position in rounds if position is not None][:size]


def k_center(vectors: Vectors, size: int) -> list[int]:
    """Greedy k-center (Sener and Savarese, arXiv 1708.00489): each next vector is the farthest from those taken.

    Starts with the vector nearest to the mean; of equally far ones the first is taken. At most twice the
    smallest possible covering radius (Gonzalez 1985), once the start is any point of the data.
    """
    chosen = [int(np.argmin(np.linalg.norm(vectors - vectors.mean(axis=0), axis=1)))]
    distance = np.linalg.norm(vectors - vectors[chosen[0]], axis=1)
    while len(chosen) < size:
        distance[chosen[-1]] = -1.0  # below any distance: nothing is taken twice
        chosen.append(int(np.argmax(distance)))
        distance = np.minimum(distance, np.linalg.norm(vectors - vectors[chosen[-1]], axis=1))
    return chosen
