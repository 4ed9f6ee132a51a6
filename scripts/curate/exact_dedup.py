"""Drop records that say the same as another one: the prompt up to Unicode forms, case and white space, the response
as it stands, for there indentation and letter case are right or wrong.

python -m scripts.curate.exact_dedup --recipe JSON --records MANIFEST... --out MANIFEST
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from datatrove.data import Document
from datatrove.pipeline.dedup.exact_dedup import ExactDedupConfig, ExactDedupSignature, get_sig_dtype

from scripts.common.step import step
from scripts.curate import views
from scripts.curate.duplicates import HIT, DuplicateFilter, Positions, preferred, priorities_of, save
from scripts.curate.frame import Job, job
from scripts.curate.settings import ExactDedup
from scripts.curate.words import normalise


def prompt_key(record: dict[str, Any]) -> str:
    """What two records with the same prompt have in common."""
    return normalise(views.prompt(record))


def record_key(record: dict[str, Any]) -> str:
    """What two records with the same prompt and response have in common."""
    return normalise(views.prompt(record)) + "\0" + views.response(record).strip()


KEYS = {"prompt": prompt_key, "prompt-response": record_key}


def deduplicate(work: Job, settings: ExactDedup) -> dict[str, Any]:
    """Write kept and dropped records; the counts of the manifest."""
    key = KEYS[settings.key]
    signatures, table = work.work / "signatures", work.work / "duplicates.npz"
    work.scan("signatures", key, [ExactDedupSignature(str(signatures), CONFIG)])
    groups = _signatures(signatures, work.corpus.offsets)
    duplicates, keepers = preferred(*groups, priorities_of(work.corpus, settings.priorities))
    save(table, work.corpus, duplicates, keepers)
    return work.filter(DuplicateFilter(table, "duplicate"), key, hit=HIT)


def _text(doc: Document) -> str:
    return doc.text


CONFIG = ExactDedupConfig(content_getter=_text)


def _signatures(folder: Path, offsets: list[int]) -> tuple[Positions, Positions]:
    """Positions and 64-bit hashes of all records, from the signature file of each task."""
    kind = get_sig_dtype(CONFIG.hash_config)
    found = [np.fromfile(folder / "0000" / f"{rank:05d}.c4_sig", dtype=kind) for rank in range(len(offsets))]
    positions = [part["doc"].astype(np.int64) + offset for part, offset in zip(found, offsets, strict=True)]
    return np.concatenate(positions), np.concatenate([part["hash"] for part in found]).view(np.int64)


def main() -> None:
    with step(__spec__, inputs=("records",), settings=ExactDedup) as run:
        run.counts |= deduplicate(job(run), run.settings)


if __name__ == "__main__":
    main()
