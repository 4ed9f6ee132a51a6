"""Selection of records in a domain: at random, from each cluster in turn, or by greedy k-center.

Each method chooses `size` of the positions 0 ... n-1, at most `limits[source]` of each source. All are deterministic.
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
"""Number of vectors among which k-center searches its next centers before it measures all others again."""
BLOCK = 1 << 22  # distances in memory at once


@dataclass(frozen=True)
class Domain:
    """The candidates of a domain, each by its position."""

    ids: Sequence[str]
    sources: Sequence[str]
    vectors: Vectors | None = None
    """[n, dimensions]; `random` needs none."""


def by_draw(ids: Sequence[str], seed: int) -> list[int]:
    """The positions in an order drawn from the seed; the order of two records does not depend on the others."""
    return sorted(range(len(ids)), key=lambda position: draw(seed, "select", ids[position]))


def choose(
    settings: Select, domain: Domain, size: int, seed: int, limits: Mapping[str, int] | None = None
) -> list[int]:
    """Positions of the chosen records; `limits` has the most of each source, and they sum to at least `size`."""
    quota = Quota(domain.sources, limits)
    order = by_draw(domain.ids, seed)
    if settings.kind == "random" or size == len(order):
        return quota.first(order, size)
    assert domain.vectors is not None
    if settings.kind == "k-center":
        return k_center(domain.vectors, size, quota)
    fitted = np.sort(order[: settings.fitted_on])
    labels = clusters(domain.vectors, settings.clusters, seed, fitted)
    return quota.first(round_robin(labels, order), size)


class Quota:
    """The number of records that may still be taken of each source."""

    def __init__(self, sources: Sequence[str], limits: Mapping[str, int] | None) -> None:
        names, self.codes = np.unique(np.asarray(sources, dtype=str), return_inverse=True)
        self.left = np.array([len(sources) if limits is None else limits.get(str(name), 0) for name in names], int)

    def take(self, position: int) -> bool:
        """Take the record at a position and return True, or return False if its source has reached its limit."""
        source = self.codes[position]
        if not self.left[source]:
            return False
        self.left[source] -= 1
        return True

    def first(self, positions: Iterable[int], size: int) -> list[int]:
        """Take and return the first `size` positions that the limits allow."""
        return list(islice((position for position in positions if self.take(position)), size))

    def closed(self) -> npt.NDArray[np.bool_]:
        """Whether the source of the record at each position has reached its limit."""
        return (self.left == 0)[self.codes]


def clusters(vectors: Vectors, count: int, seed: int, fitted: npt.NDArray[np.intp]) -> list[int]:
    """The k-means cluster of each vector; the centers are fitted on the vectors at the positions `fitted`."""
    from sklearn.cluster import KMeans  # takes seconds to import

    distinct = len(np.unique(vectors[fitted], axis=0))
    return KMeans(min(count, distinct), n_init=4, random_state=seed).fit(vectors[fitted]).predict(vectors).tolist()


def round_robin(labels: Sequence[int], order: Sequence[int]) -> Iterator[int]:
    """All positions, one from each cluster in turn as long as it has any; within a cluster in `order`."""
    members: dict[int, list[int]] = {label: [] for label in sorted(set(labels))}
    for position in order:
        members[labels[position]].append(position)
    rounds = chain.from_iterable(zip_longest(*members.values()))
    return (position for position in rounds if position is not None)


def k_center(vectors: Vectors, size: int, quota: Quota) -> list[int]:
    """Greedy k-center (Sener and Savarese, arXiv 1708.00489): the next vector is always the farthest from those taken.

    Starts with the vector nearest to the mean; of equally far vectors the first is taken. If no limit binds, the
    covering radius is at most twice the smallest possible one (Gonzalez 1985), whatever vector is the start.

    The result is exact, though not all distances are measured at each step. Distances only shrink: as long as the
    farthest of the `FRONT` farthest vectors is farther than any other vector was, it is the next one.
    O(n x size x dimensions), in matrix products.
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
        if distance.max() <= 0.0:  # every vector left equals one that was taken
            return chosen + quota.first(np.flatnonzero(distance == 0.0).tolist(), size - len(chosen))
        fresh = _farthest(space, distance, size - len(chosen), quota)


def _farthest(space: Space, distance: Vectors, size: int, quota: Quota) -> list[int]:
    """The next positions of greedy k-center: at least one, and as many as the front decides without the others."""
    front = np.arange(len(distance))
    bar = 0.0
    if len(distance) > FRONT:
        parted = np.argpartition(distance, len(distance) - FRONT)
        front, bar = np.sort(parted[-FRONT:]), float(distance[parted[:-FRONT]].max())
    if not (distance[front] > bar).any():  # the front holds only some of the equally far vectors
        return quota.first([int(np.argmax(distance))], 1)
    inner, near = Space(space.vectors[front]), distance[front].copy()
    centers: list[int] = []
    while len(centers) < size and near.max() > bar:
        place = int(np.argmax(near))
        if quota.take(int(front[place])):
            centers.append(int(front[place]))
            inner.shrink(near, [place])
        near[place] = -1.0
    return centers


class Space:
    """Squared distances between vectors, computed from their scalar products."""

    def __init__(self, vectors: Vectors) -> None:
        self.vectors = vectors
        self.norms = np.einsum("ij,ij->i", vectors, vectors)
        self.rounding = 64 * np.finfo(vectors.dtype).eps * max(float(self.norms.max(initial=0.0)), 1e-30)
        """Largest squared distance that rounding can give equal vectors; below it a distance counts as 0."""

    def squared_to(self, point: Vectors) -> Vectors:
        """Squared distance of every vector to one point [dimensions]."""
        return self.norms - 2 * (self.vectors @ point) + point @ point

    def shrink(self, distance: Vectors, centers: Sequence[int]) -> None:
        """Lower `distance` [n], in place, to the squared distance to the nearest of the vectors at `centers`."""
        points, norms = self.vectors[list(centers)], self.norms[list(centers)]
        rows = max(1, BLOCK // len(centers))
        for start in range(0, len(distance), rows):
            block = slice(start, start + rows)
            squared = (norms - 2 * (self.vectors[block] @ points.T)).min(axis=1) + self.norms[block]
            squared[squared < self.rounding] = 0.0
            np.minimum(distance[block], squared, out=distance[block])
