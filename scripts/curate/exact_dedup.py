"""Drop records that say the same as another one: the prompt up to Unicode forms, case and white space, the response
as it is, because there indentation and letter case are right or wrong.

python -m scripts.curate.exact_dedup --recipe JSON --records MANIFEST... --out MANIFEST
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
from xxhash import xxh3_64_intdigest

from scripts.common.step import step
from scripts.curate import views
from scripts.curate.duplicates import HIT, drop, preferences_of, preferred, save
from scripts.curate.job import Job, job_of
from scripts.curate.settings.exact_dedup import ExactDedup
from scripts.curate.words import respelled

WORD = re.compile(r"[^\W\d_]+")
OPENING = re.compile(r"(?:^|[.!?:] )([A-Z][a-z]+|A(?= [a-z]{2}))")
"""The first word of a sentence, whose capital says nothing; `A` only before a word: it may be a name in a formula."""


def prompt_key(record: dict[str, Any]) -> str:
    """What two records with the same prompt have in common."""
    return question(views.prompt(record))


def record_key(record: dict[str, Any]) -> str:
    """What two records with the same prompt and response have in common."""
    return prompt_key(record) + "\0" + views.response(record).strip()


def question(text: str) -> str:
    """One spelling of a prompt: that of `respelled`, with the case of words folded if it can mean nothing.

    Case stays in words of one or two letters and in those that mix capitals and small letters: MB and Mb, A and a,
    MeV and meV are different.
    """
    opened = OPENING.sub(lambda match: match[0].lower(), respelled(text))
    return WORD.sub(lambda word: _folded(word[0]), opened)


def _folded(word: str) -> str:
    plain = len(word) > 2 and (word.isupper() or word[1:].islower() or word.islower())
    return word.casefold() if plain else word


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
