"""Drop near-duplicates across sources: MinHash proposes them, their Jaccard similarity decides.

Prompts that differ in what decides the answer (`decisive`: numbers, signs, `not`, `least`) are different questions
however alike they are, so they share no bucket: a long template would fill it, and hide two copies from each other that
are far apart in it. What LSH proposes is compared on the shingles themselves, and each dropped record is as similar as
the setting asks to the record kept instead, not to a chain that leads there. Operators stay in the shingles. The
signature covers prompt and response.

python -m scripts.curate.near_dedup --recipe JSON --records MANIFEST... --out MANIFEST
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from xxhash import xxh3_64_intdigest

from scripts.common.step import step
from scripts.curate import views
from scripts.curate.decisive import decisive
from scripts.curate.duplicates import HIT, Positions, drop, preferences_of, save
from scripts.curate.grams import Hashes, constants, grams, mix_bits
from scripts.curate.job import Job, job_of
from scripts.curate.settings.near_dedup import NearDedup
from scripts.curate.words import words

SEED = 1  # of the hash functions
UNSIGNED = np.uint64(2**64 - 1)  # the key of a record with too few words, which has no near-duplicate
Rows = list[dict[str, Any]]


def deduplicate(work: Job, settings: NearDedup) -> dict[str, Any]:
    """Write kept and dropped records; the counts of the manifest, with how many pairs LSH proposed."""
    pairs = propose(work, settings)
    sketches = sketches_of(work, pairs, settings)
    similar = pairs[[sketches.likeness(one, other) >= settings.similarity for one, other in pairs.tolist()]]
    preferences = preferences_of(work.corpus, settings.priorities)
    found = choose_leaders(components(similar), sketches, preferences, settings.similarity)
    table = work.work / "duplicates.npz"
    positions, keepers, similarity = (np.array(column) for column in zip(*found, strict=True)) if found else NOTHING
    save(table, work.corpus, positions, keepers, similarity)
    counts = drop(work, table, "near-duplicate", [*HIT, ("similarity", pa.float64())])
    return counts | {"pairs": {"proposed": len(pairs), "similar": len(similar)}}


NOTHING = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))


def propose(work: Job, settings: NearDedup) -> Positions:
    """Pairs of positions that share a bucket, each once: (pairs, 2). Of a bucket's records each pairs with the next."""
    files = [np.load(path, mmap_mode="r") for path in work.scan("signatures", ["messages"], partial(_sign, settings))]
    found = [np.empty((0, 2), np.int64)]
    for bucket in range(settings.buckets if files else 0):
        keys = np.concatenate([part[:, bucket] for part in files])
        order = np.argsort(keys, kind="stable")
        same = (keys[order[1:]] == keys[order[:-1]]) & (keys[order[1:]] != UNSIGNED)
        found.append(np.stack([order[:-1][same], order[1:][same]], axis=1))
    return np.unique(np.concatenate(found), axis=0)


def _sign(settings: NearDedup, rows: Rows, _position: int) -> Hashes:
    prompts = [views.prompt(row) for row in rows]
    texts = [words(prompt) + words(views.response(row)) for prompt, row in zip(prompts, rows, strict=True)]
    salts = [xxh3_64_intdigest(decisive(prompt)) for prompt in prompts]
    return signatures(texts, np.array(salts, np.uint64), settings)


def signatures(texts: list[list[str]], salts: Hashes, settings: NearDedup) -> Hashes:
    """The bucket keys of each text: (texts, buckets). A key is the hash of `hashes_per_bucket` minima and of the text's
    salt, so that texts with different salts never share a bucket.

    Minima of a * x + b modulo 2^64 over the n-grams' hashes x (arXiv 2107.06499 and DataTrove take a prime for
    modulus): the multiplications are most of the work, and a division would be four times that.
    """
    found = grams(texts, settings.ngram)
    keys = np.full((len(texts), settings.buckets), UNSIGNED)
    signed = found.sizes > 0
    if not signed.any():
        return keys
    starts = found.starts()[signed]
    factors, offsets = constants(SEED, 2, settings.buckets, settings.hashes_per_bucket)
    product = np.empty_like(found.values)
    for bucket in range(settings.buckets):
        key = salts[signed]
        for factor, offset in zip(factors[bucket], offsets[bucket], strict=True):
            np.multiply(found.values, factor, out=product)
            np.add(product, offset, out=product)
            key = mix_bits(key + np.minimum.reduceat(product, starts))
        keys[signed, bucket] = np.minimum(key, UNSIGNED - np.uint64(1))
    return keys


class Sketches:
    """The sketches of the records that are in a pair, in files: memory holds the place of each, not its content.

    A sketch is what is compared: the hashes of the distinct n-grams of prompt and response, ascending. A task's file
    holds, for each of its records in their order, the number of hashes and then the hashes.
    """

    def __init__(self, wanted: Positions, parts: list[Hashes]):
        self.wanted = wanted
        self.parts = parts
        self.places = np.concatenate([np.empty((0, 2), np.int64), *map(_places, range(len(parts)), parts)])

    def __getitem__(self, position: int) -> Hashes:
        part, start = self.places[np.searchsorted(self.wanted, position)]
        return self.parts[part][start + 1 : start + 1 + int(self.parts[part][start])]

    def likeness(self, one: int, other: int) -> float:
        """Jaccard similarity of the records at two positions."""
        return jaccard(self[one], self[other])


def _places(part: int, values: Hashes) -> Positions:
    """(part, start) of every sketch in a file."""
    found, start = [], 0
    while start < len(values):
        found.append((part, start))
        start += 1 + int(values[start])
    return np.array(found, np.int64).reshape(-1, 2)


def sketches_of(work: Job, pairs: Positions, settings: NearDedup) -> Sketches:
    """The sketch of every record that is in a pair."""
    wanted = np.unique(pairs)

    def sketch(rows: Rows, position: int) -> Hashes:
        first, end = np.searchsorted(wanted, (position, position + len(rows)))
        chosen = [rows[index] for index in (wanted[first:end] - position).tolist()]
        found = [np.empty(0, np.uint64)]
        for values in grams([words(views.whole(row)) for row in chosen], settings.ngram).texts():
            shingles = np.unique(values)
            found += [np.array([len(shingles)], np.uint64), shingles]
        return np.concatenate(found)

    files = work.scan("sketches", ["messages"], sketch)
    return Sketches(wanted, [np.load(path, mmap_mode="r") for path in files])


def jaccard(one: np.ndarray, other: np.ndarray) -> float:
    """|A n B| / |A u B| of two sorted arrays without repeats."""
    shared = np.intersect1d(one, other, assume_unique=True).size
    return shared / (one.size + other.size - shared)


def components(pairs: Positions) -> list[list[int]]:
    """Groups of positions that pairs connect, each group ascending."""
    nodes, ends = np.unique(pairs, return_inverse=True)
    ends = ends.reshape(-1, 2)
    graph = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(len(nodes), len(nodes)))
    groups: dict[int, list[int]] = {}
    for node, group in zip(nodes.tolist(), connected_components(graph, directed=False)[1].tolist(), strict=True):
        groups.setdefault(group, []).append(node)
    return list(groups.values())


def choose_leaders(
    groups: list[list[int]], sketches: Sketches, preferences: Positions, similarity: float
) -> list[tuple[int, int, float]]:
    """(duplicate, record kept instead, their similarity): the most preferred record of a group is its leader, which is
    kept; records similar to it are its duplicates, and the rest of the group chooses a leader again."""
    found = []
    for group in groups:
        rest = sorted(group, key=lambda position: (-preferences[position], position))
        while rest:
            leader, *others = rest
            rest = []
            for other in others:
                value = sketches.likeness(leader, other)
                if value >= similarity:
                    found.append((other, leader, value))
                else:
                    rest.append(other)
    return sorted(found)


def main() -> None:
    with step(__spec__, inputs=("records",), settings=NearDedup) as run:
        run.counts |= deduplicate(job_of(run), run.settings)


if __name__ == "__main__":
    main()
