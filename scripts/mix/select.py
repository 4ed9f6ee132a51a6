"""Which records of a domain are taken: at random, evenly over clusters, or by k-center greedy.

All take positions 0 ... n-1 and give `size` of them, of each source no more than its limit; all are deterministic.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice, zip_longest

import numpy as np
import numpy.typing as npt

from scripts.mix.candidates import draw
from scripts.mix.settings import Select

Vectors = npt.NDArray[np.floating]
FRONT = 2_048
"""Vectors among which k-center looks for its next ones before it measures all others again."""
BLOCK = 1 << 22  # distances in memory at once


@dataclass(frozen=True)
class Domain:
    """The candidates of a domain, each by its position."""

    ids: Sequence[str]
    sources: Sequence[str]
    vectors: Vectors | None = None
    """[n, dimensions]; `random` needs none."""


def by_draw(ids: Sequence[str], seed: int) -> list[int]:
    """The positions in an order drawn by the seed, a record's place among others independent of the rest."""
    return sorted(range(len(ids)), key=lambda position: draw(seed, "select", ids[position]))


def choose(
    settings: Select, domain: Domain, size: int, seed: int, limits: Mapping[str, int] | None = None
) -> list[int]:
    """Positions of the records taken; `limits` has the most of each source, which together reach `size`."""
    quota = Quota(domain.sources, limits)
    order = by_draw(domain.ids, seed)
    if settings.kind == "random" or size == len(order):
        return quota.first(order, size)
    assert domain.vectors is not None
    if settings.kind == "k-center":
        return k_center(domain.vectors, size, quota)
    fitted = np.sort(order[: settings.fitted_on])
    labels = clusters(domain.vectors, settings.clusters, seed, fitted)
    return quota.first(evenly(labels, order), size)


class Quota:
    """How many of each source may still be taken."""

    def __init__(self, sources: Sequence[str], limits: Mapping[str, int] | None) -> None:
        names, self.codes = np.unique(np.asarray(sources, dtype=str), return_inverse=True)
        self.left = np.array([len(sources) if limits is None else limits.get(str(name), 0) for name in names], int)

    def take(self, position: int) -> bool:
        """Count the record at a position in, if its source may still give one."""
        source = self.codes[position]
        if not self.left[source]:
            return False
        self.left[source] -= 1
        return True

    def first(self, positions: Iterable[int], size: int) -> list[int]:
        """The first `size` positions that the limits let pass."""
        return list(islice((position for position in positions if self.take(position)), size))

    def closed(self) -> npt.NDArray[np.bool_]:
        """Whether the record at each position can no longer be taken because of its source."""
        return (self.left == 0)[self.codes]


def clusters(vectors: Vectors, count: int, seed: int, fitted: npt.NDArray[np.intp]) -> list[int]:
    """The k-means cluster of each vector, the centers fitted on some positions."""
    from sklearn.cluster import KMeans  # takes seconds to import

    distinct = len(np.unique(vectors[fitted], axis=0))
    return KMeans(min(count, distinct), n_init=4, random_state=seed).fit(vectors[fitted]).predict(vectors).tolist()


def evenly(labels: Sequence[int], order: Sequence[int]) -> Iterator[int]:
    """All positions, one of each cluster in turn while it has any; within a cluster by `order`."""
    members: dict[int, list[int]] = {label: [] for label in sorted(set(labels))}
    for position in order:
        members[labels[position]].append(position)
    rounds = chain.from_iterable(zip_longest(*members.values()))
    return (position for position in rounds if position is not None)


def k_center(vectors: Vectors, size: int, quota: Quota) -> list[int]:
    """Greedy k-center (Sener and Savarese, arXiv 1708.00489): each next vector is the farthest from those taken.

    Starts with the vector nearest to the mean; of equally far ones the first is taken. At most twice the
    smallest possible covering radius (Gonzalez 1985), once the start is any point of the data and no limit binds.

    Exact, though not all distances are measured at each step: they only shrink, so while the farthest of the `FRONT`
    farthest vectors is farther than any other was, it is the next one. O(n x size x dimensions), in matrix products.
    """
    space = Space(vectors)
    closed = quota.closed()
    first = int(np.argmin(np.where(closed, np.inf, space.squared_to(vectors.mean(axis=0)))))
    distance = np.full(len(vectors), np.inf, vectors.dtype)
    chosen: list[int] = []
    fresh = quota.first([first], size)
    while True:
        chosen += fresh
        if len(chosen) >= size:
            return chosen
        space.shrink(distance, fresh)
        distance[fresh] = -1.0  # below any distance: nothing is taken twice
        distance[quota.closed()] = -1.0
        if distance.max() <= 0.0:  # all that are left equal one that was taken
            return chosen + quota.first(np.flatnonzero(distance == 0.0).tolist(), size - len(chosen))
        fresh = _farthest(space, distance, size - len(chosen), quota)


def _farthest(space: Space, distance: Vectors, size: int, quota: Quota) -> list[int]:
    """The next positions by greedy k-center, at least one: as many as the distances outside the front let decide."""
    front = np.arange(len(distance))
    bar = 0.0
    if len(distance) > FRONT:
        parted = np.argpartition(distance, len(distance) - FRONT)
        front, bar = np.sort(parted[-FRONT:]), float(distance[parted[:-FRONT]].max())
    if not (distance[front] > bar).any():  # more of them are equally far than the front holds
        return quota.first([int(np.argmax(distance))], 1)
    inner, near = Space(space.vectors[front]), distance[front].copy()
    found: list[int] = []
    while len(found) < size and near.max() > bar:
        place = int(np.argmax(near))
        if quota.take(int(front[place])):
            found.append(int(front[place]))
            inner.shrink(near, [place])
        near[place] = -1.0
    return found


class Space:
    """Squared distances between vectors by their products."""

    def __init__(self, vectors: Vectors) -> None:
        self.vectors = vectors
        self.norms = np.einsum("ij,ij->i", vectors, vectors)
        self.nothing = 64 * np.finfo(vectors.dtype).eps * max(float(self.norms.max(initial=0.0)), 1e-30)
        """What rounding alone may make of the squared distance between equal vectors."""

    def squared_to(self, point: Vectors) -> Vectors:
        """Squared distance of every vector to one point [dimensions]."""
        return self.norms - 2 * (self.vectors @ point) + point @ point

    def shrink(self, distance: Vectors, centers: Sequence[int]) -> None:
        """Lower `distance` [n], in place, to the squared distance to the nearest of some of the vectors."""
        points, norms = self.vectors[list(centers)], self.norms[list(centers)]
        rows = max(1, BLOCK // len(centers))
        for start in range(0, len(distance), rows):
            block = slice(start, start + rows)
            squared = (norms - 2 * (self.vectors[block] @ points.T)).min(axis=1) + self.norms[block]
            squared[squared < self.nothing] = 0.0
            np.minimum(distance[block], squared, out=distance[block])
