"""Settings of `scripts.curate.near_dedup`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from scripts.common.settings import Share
from scripts.curate.settings.preference import Preference


class NearDedup(Preference):
    """MinHash near-duplicates across sources: LSH proposes pairs, their Jaccard similarity decides."""

    step: Literal["near-dedup"]
    ngram: int = Field(gt=0, description="words a shingle; texts with fewer words are left to exact-dedup")
    buckets: int = Field(gt=0, description="a pair of similarity s is proposed with 1 - (1 - s**hashes)**buckets")
    hashes_per_bucket: int = Field(gt=0)
    similarity: Share = Field(description="Jaccard similarity of the shingles from which on two records are the same")
