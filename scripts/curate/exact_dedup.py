"""Drop records that say the same as another one: the prompt up to Unicode forms, case and white space, the response
as it stands, for there indentation and letter case are right or wrong.

python -m scripts.curate.exact_dedup --recipe JSON --records MANIFEST... --out MANIFEST
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from xxhash import xxh3_64_intdigest

from scripts.common.step import step
from scripts.curate import views
from scripts.curate.duplicates import HIT, drop, preferences_of, preferred, save
from scripts.curate.job import Job, job_of
from scripts.curate.settings.exact_dedup import ExactDedup
from scripts.curate.words import normalise


def prompt_key(record: dict[str, Any]) -> str:
    """What two records with the same prompt have in common."""
    return normalise(views.prompt(record))


def record_key(record: dict[str, Any]) -> str:
    """What two records with the same prompt and response have in common."""
    return normalise(views.prompt(record)) + "\0" + views.response(record).strip()


Groups = npt.NDArray[np.uint64]
"""Hashes of 64 bits: among 3.84 million records two different ones meet with a probability of 4e-7."""
KEYS = {"prompt": prompt_key, "prompt-response": record_key}


def deduplicate(work: Job, settings: ExactDedup) -> dict[str, Any]:
    """Write kept and dropped records; the counts of the manifest."""
    key, table = KEYS[settings.key], work.work / "duplicates.npz"

    def signatures(rows: list[dict[str, Any]], _position: int) -> Groups:
        return np.array([xxh3_64_intdigest(key(row)) for row in rows], np.uint64)

    found = [np.load(path) for path in work.scan("signatures", ["messages"], signatures)]
    groups = np.concatenate([np.empty(0, np.uint64), *found])
    positions = np.arange(len(groups))
    preferences = preferences_of(work.corpus, settings.priorities)
    save(table, work.corpus, *preferred(positions, groups.view(np.int64), preferences))
    return drop(work, table, "duplicate", HIT)


def main() -> None:
    with step(__spec__, inputs=("records",), settings=ExactDedup) as run:
        run.counts |= deduplicate(job_of(run), run.settings)


if __name__ == "__main__":
    main()
