"""Grade the difficulty of prompts by a reference student's pass rate over its attempts.

The attempts are samples that `scripts.distill.sample` drew before: other bands or another verifier draw none again.
`records/` holds the pool's records with the columns passes, samples (attempts that could be verified), pass_rate, band
and degenerate (all right or all wrong: the advantages of such a group are all 0, so RL learns nothing from it).
`dropped/` holds the prompts for which no attempt could be verified.

python -m scripts.distill.grade --recipe JSON --attempts MANIFEST --out MANIFEST
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from math import comb
from typing import Any

import pyarrow as pa

from scripts.common.records import RECORDS, chunks, iterate
from scripts.common.step import Run, step
from scripts.distill.progress import Progress
from scripts.distill.records import RESPONSES, DistillError, Row, schema_of, size_of, write_parted
from scripts.distill.settings.grade import Bands, GradeSettings
from scripts.verify import Verdict, VerifierPool
from scripts.verify.records import reason_head, verifier_pool, verify_all

COLUMNS = [
    ("passes", pa.int32()),
    ("samples", pa.int32()),
    ("pass_rate", pa.float64()),
    ("band", pa.string()),
    ("degenerate", pa.bool_()),
]
UNVERIFIED = "no sample could be verified"
CHUNK = 1_000  # prompts verified together


def pass_at_k(samples: int, passes: int, k: int) -> float:
    """Unbiased estimate of the chance that one of k samples passes (arXiv 2107.03374, equation 1).

    1 - C(n - c, k) / C(n, k) for c passes among n samples; needs k <= n.
    """
    if not 0 < k <= samples:
        raise ValueError(f"pass@{k} cannot be estimated from {samples} samples")
    return 1.0 - comb(samples - passes, k) / comb(samples, k)


def band(pass_rate: float, bands: Bands) -> str:
    """The difficulty band of a pass rate."""
    if pass_rate >= bands.easy_from:
        return "easy"
    return "hard" if pass_rate < bands.hard_below else "medium"


def grades(verdicts: list[bool | None], bands: Bands) -> Row | None:
    """The added columns from the verdicts on one prompt's samples; None if all of them are unverifiable (None)."""
    verified = [verdict for verdict in verdicts if verdict is not None]
    if not verified:
        return None
    passes = sum(verified)
    rate = passes / len(verified)
    return {
        "passes": passes,
        "samples": len(verified),
        "pass_rate": rate,
        "band": band(rate, bands),
        "degenerate": passes in (0, len(verified)),
    }


class Tally:
    """Counts of a run: bands by domain, degenerate prompts, unverifiable attempts, and pass@k."""

    def __init__(self, samples: int) -> None:
        self.powers = [k for k in (1, 2, 4, 8, 16, 32, 64) if k < samples] + [samples]
        self.bands: dict[str, Counter[str]] = {}
        self.degenerate: Counter[str] = Counter()
        self.unverifiable: Counter[str] = Counter()
        self.pass_at: dict[int, list[float]] = {k: [] for k in self.powers}

    def add(self, row: Row) -> None:
        """Count one graded prompt."""
        self.bands.setdefault(row["domain"] or "", Counter())[row["band"]] += 1
        if row["degenerate"]:
            self.degenerate["all right" if row["passes"] else "all wrong"] += 1
        for k in self.powers:
            if k <= row["samples"]:
                self.pass_at[k].append(pass_at_k(row["samples"], row["passes"], k))

    def counts(self) -> dict[str, Any]:
        """Counts for the manifest; pass@k is the mean over the prompts with at least k verified samples."""
        return {
            "bands": {domain: dict(sorted(counts.items())) for domain, counts in sorted(self.bands.items())},
            "degenerate": dict(sorted(self.degenerate.items())),
            "unverifiable": dict(sorted(self.unverifiable.items())),
            "pass_at": {str(k): sum(values) / len(values) for k, values in self.pass_at.items() if values},
        }


def grade(run: Run[GradeSettings]) -> dict[str, Any]:
    """Write graded and dropped records; return the counts. Raises DistillError if no prompt could be graded."""
    settings, attempts = run.settings, run.input("attempts")
    tally, progress = Tally(settings.samples), Progress(size_of(attempts))
    schema = schema_of(attempts)
    schema = schema.remove(schema.get_field_index(RESPONSES))

    def make(drop: Callable[[Row, str], None]) -> Iterator[Row]:
        with verifier_pool(settings.verify) as verifiers:
            for batch in chunks(iterate(attempts.folder / RECORDS), CHUNK):
                for record, verdicts in _verified(batch, verifiers):
                    tally.unverifiable.update(reason_head(item) for item in verdicts if item.correct is None)
                    graded = grades([item.correct for item in verdicts], settings.bands)
                    if graded is None:
                        drop(record, UNVERIFIED)
                        continue
                    tally.add(record | graded)
                    yield record | graded
                progress.add(len(batch))

    counts = write_parted(run.out, "grade", schema, COLUMNS, make)
    if not counts["kept"]:
        raise DistillError(f"no prompt of {attempts.folder} could be graded: {counts['dropped']}")
    return counts | tally.counts()


def _verified(batch: list[Row], verifiers: VerifierPool) -> Iterator[tuple[Row, list[Verdict]]]:
    """Each record without its attempts, and the verdicts on them."""
    items = [(item["text"], row["answer"]) for row in batch for item in row[RESPONSES]]
    verdicts = iter(verify_all(verifiers, items))
    for row in batch:
        responses = row.pop(RESPONSES)
        yield row, list(islice(verdicts, len(responses)))


def main() -> None:
    with step(__spec__, inputs=("attempts",), settings=GradeSettings) as run:
        run.counts |= grade(run)


if __name__ == "__main__":
    main()
