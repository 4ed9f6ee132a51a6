"""Drop near-duplicates across sources: MinHash proposes them (DataTrove), their Jaccard similarity decides.

LSH also proposes prompts of one template that differ in a number (of MATH, DAPO and DeepMath, three pairs of
four), so each pair is compared on the shingles themselves, and each dropped record is as similar as the
setting asks to the record kept instead, not to a chain that leads there. Prompts with different numbers are
different questions however alike they are. Operators stay in the shingles. The signature covers prompt and
response.

python -m scripts.curate.near_dedup --recipe JSON --records MANIFEST... --out MANIFEST
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from datatrove.pipeline.dedup.minhash import (
    MinhashConfig,
    MinhashDedupBuckets,
    MinhashDedupSignature,
)
from datatrove.utils.text import TextNormConfig
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from scripts.common.step import step
from scripts.curate import views
from scripts.curate.duplicates import HIT, DuplicateFilter, Positions, priorities_of, save
from scripts.curate.frame import Corpus, Job, job
from scripts.curate.settings import NearDedup
from scripts.curate.words import RegexTokenizer, words

NOTHING = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
SPELLING = TextNormConfig(lowercase=False, remove_punctuation=False, norm_numbers=False)  # all may be what is asked


def signer(settings: NearDedup, folder: Path) -> MinhashDedupSignature:
    """DataTrove's signature block, which also makes the shingles that are compared."""
    config = MinhashConfig(settings.ngram, settings.buckets, settings.hashes_per_bucket, norm_config=SPELLING)
    return MinhashDedupSignature(str(folder), config, language=RegexTokenizer())


def deduplicate(work: Job, settings: NearDedup) -> dict[str, Any]:
    """Write kept and dropped records; the counts of the manifest, with how many pairs LSH proposed."""
    sign = signer(settings, work.work / "signatures")
    pairs = propose(work, sign)
    sketches = sketches_of(work.corpus, pairs, sign)
    similar = pairs[[likeness(sketches[one], sketches[other]) >= settings.similarity for one, other in pairs.tolist()]]
    priorities = priorities_of(work.corpus, settings.priorities)
    found = lead(components(similar), sketches, priorities, settings.similarity)
    table = work.work / "duplicates.npz"
    save(table, work.corpus, *(np.array(column) for column in zip(*found, strict=True)) if found else NOTHING)
    block = DuplicateFilter(table, "near-duplicate")
    counts = work.filter(block, views.whole, hit=[*HIT, ("similarity", pa.float64())])
    return counts | {"pairs": {"proposed": len(pairs), "similar": len(similar)}}


def propose(work: Job, sign: MinhashDedupSignature) -> Positions:
    """Pairs of positions that share a bucket, each once: (pairs, 2)."""
    signatures, pairs = str(work.work / "signatures"), work.work / "pairs"
    work.scan("signatures", views.whole, [sign])
    work.execute("pairs", [MinhashDedupBuckets(signatures, str(pairs), config=sign.config)], sign.config.num_buckets)
    offsets = np.array(work.corpus.offsets)
    files = [np.fromfile(path, dtype="<u4").reshape(-1, 4).astype(np.int64) for path in sorted(pairs.glob("*.dups"))]
    found = np.concatenate(files)  # task and document of the one, task and document of the other
    return np.unique(offsets[found[:, [0, 2]]] + found[:, [1, 3]], axis=0)


class Sketch(NamedTuple):
    """What is compared of a record."""

    shingles: np.ndarray
    """Hashes of the distinct n-grams of prompt and response, ascending."""
    numbers: tuple[str, ...]
    """The numbers of the prompt in their order."""


def sketches_of(corpus: Corpus, pairs: Positions, sign: MinhashDedupSignature) -> dict[int, Sketch]:
    """The sketch of every record that stands in a pair, by position."""
    wanted = set(pairs.ravel().tolist())
    records = ((i, record) for i, record in enumerate(corpus.iterate(["messages"])) if i in wanted)
    return {
        i: Sketch(np.unique(sign.get_shingles(views.whole(record))), numbers(views.prompt(record)))
        for i, record in records
    }


def numbers(text: str) -> tuple[str, ...]:
    """The numbers of a text in their order."""
    return tuple(word for word in words(text) if word.isdigit())


def likeness(one: Sketch, other: Sketch) -> float:
    """Jaccard similarity of the shingles, and 0 where the prompts' numbers differ: that is another question."""
    return jaccard(one.shingles, other.shingles) if one.numbers == other.numbers else 0.0


def jaccard(one: np.ndarray, other: np.ndarray) -> float:
    """|A n B| / |A u B| of two sorted arrays without repeats."""
    shared = np.intersect1d(one, other, assume_unique=True).size
    return shared / (one.size + other.size - shared)


def components(pairs: Positions) -> list[list[int]]:
    """Positions that hang together by pairs, each group ascending."""
    nodes, ends = np.unique(pairs, return_inverse=True)
    ends = ends.reshape(-1, 2)
    graph = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(len(nodes), len(nodes)))
    groups: dict[int, list[int]] = {}
    for node, group in zip(nodes.tolist(), connected_components(graph, directed=False)[1].tolist(), strict=True):
        groups.setdefault(group, []).append(node)
    return list(groups.values())


def lead(
    groups: list[list[int]], sketches: dict[int, Sketch], priorities: Positions, similarity: float
) -> list[tuple[int, int, float]]:
    """(duplicate, record kept instead, their similarity), by leaders: the most preferred record of a group is
    kept and takes all that are similar to it; what is left of the group starts again."""
    found = []
    for group in groups:
        rest = sorted(group, key=lambda position: (-priorities[position], position))
        while rest:
            leader, *others = rest
            rest = []
            for other in others:
                value = likeness(sketches[leader], sketches[other])
                if value >= similarity:
                    found.append((other, leader, value))
                else:
                    rest.append(other)
    return sorted(found)


def main() -> None:
    with step(__spec__, inputs=("records",), settings=NearDedup) as run:
        run.counts |= deduplicate(job(run), run.settings)


if __name__ == "__main__":
    main()
