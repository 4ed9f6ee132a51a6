"""Tests behind the verdicts on claims. All are two-sided at the level ALPHA; none corrects for the number of claims.

One seed: a z test. Both rows answer the same prompts, so the error from the prompts is that of the paired differences,
`sd / sqrt n` (Miller 2024, arXiv 2411.00640). It asks whether two checkpoints differ. A claim is about two recipes, and
each recipe was trained once: training it again, from the same data, gives another checkpoint. If the standard deviation
between trainings is known (`training_sd`), the test adds the variance of two independent trainings, `2 training_sd^2`.
Rows that share a start vary less than independent ones, so the test errs on the side of "within noise".

Several seeds: a t test of a randomised block design. Seeds are blocks, the table's rows are treatments, and the error
is the mean square of their interaction, with `(rows - 1) (seeds - 1)` degrees of freedom. What a seed's prompts and
corpora do to all rows alike cancels; what training and prompts do to each row is the error. Pooling over the rows gives
three seeds their power: a t test of the two rows alone has 2 degrees of freedom. The price is the assumption that all
rows vary alike. If they do not, the level is not exact: simulated with three seeds, it is 2 to 12 % in a chain of five
rows that are each trained from the last, and 11 % for a row twice as noisy as the other four.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

ALPHA = 0.05
Verdict = Literal["seen", "not seen", "within noise"]
Differences = Sequence[float]
"""`better - worse` for each prompt of one benchmark (points)."""


@dataclass(frozen=True)
class Comparison:
    """A difference `better - worse` in points, with its uncertainty."""

    difference: float
    stderr: float
    """Standard error of the difference (points)."""
    p: float
    """Two-sided: the probability that chance alone gives a difference at least as large."""
    test: str
    """The test and its statistic, as the tables print them."""

    @property
    def verdict(self) -> Verdict:
        """seen: significantly above 0; not seen: significantly below 0; within noise: neither."""
        if self.p >= ALPHA:
            return "within noise"
        return "seen" if self.difference > 0 else "not seen"


def paired_z_test(benchmarks: Sequence[Differences], training_sd: float | None = None) -> Comparison:
    """Compare two rows of one seed, on one benchmark or on the unweighted mean of several.

    `training_sd` (points) is the standard deviation of one row's value between trainings; None if it is unknown, and
    then the error is that of the prompts alone. An error of 0 makes any difference certain. Raises ValueError below
    two prompts.
    """
    parts = [mean_and_sd(differences) for differences in benchmarks]
    difference = math.fsum(mean for mean, _ in parts) / len(parts)
    squares = (sd**2 / len(differences) for (_, sd), differences in zip(parts, benchmarks, strict=True))
    prompts = math.sqrt(math.fsum(squares)) / len(parts)
    stderr = prompts if training_sd is None else math.hypot(prompts, math.sqrt(2) * training_sd)
    z = _ratio(difference, stderr)
    name = "paired z" if training_sd is None else "z"
    return Comparison(difference, stderr, math.erfc(abs(z) / math.sqrt(2)), f"{name} = {_printed(z)}")


def block_t_test(rows: Sequence[Sequence[float]], better: int, worse: int) -> Comparison:
    """Compare two of a table's rows over seeds; `rows[i][s]` is the value of row i with seed s (points).

    With two rows this is the paired t test. Raises ValueError below two rows or two seeds.
    """
    from scipy.stats import t as student  # takes a second to import, and tables of one seed do not need it

    count, seeds = len(rows), len(rows[0])
    if count < 2 or seeds < 2:
        raise ValueError(f"a block design needs at least two rows and two seeds; there are {count} and {seeds}")
    freedom = (count - 1) * (seeds - 1)
    stderr = math.sqrt(2 * interaction(rows) / freedom / seeds)
    difference = (math.fsum(rows[better]) - math.fsum(rows[worse])) / seeds
    t = _ratio(difference, stderr)
    return Comparison(difference, stderr, float(2 * student.sf(abs(t), freedom)), f"t({freedom}) = {_printed(t)}")


def interaction(rows: Sequence[Sequence[float]]) -> float:
    """Sum of squares that neither the row means nor the seed means explain."""
    row_means = [math.fsum(row) / len(row) for row in rows]
    seed_means = [math.fsum(column) / len(column) for column in zip(*rows, strict=True)]
    mean = math.fsum(row_means) / len(row_means)
    return math.fsum(
        (value - row_mean - seed_mean + mean) ** 2
        for row, row_mean in zip(rows, row_means, strict=True)
        for value, seed_mean in zip(row, seed_means, strict=True)
    )


def mean_and_sd(values: Sequence[float]) -> tuple[float, float]:
    """Mean and sample standard deviation (n - 1). Raises ValueError below two values."""
    if len(values) < 2:
        raise ValueError(f"a standard deviation needs at least two values; there are {len(values)}")
    mean = math.fsum(values) / len(values)
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def _ratio(difference: float, stderr: float) -> float:
    if math.isclose(stderr, 0.0, abs_tol=1e-9):
        return math.copysign(math.inf, difference) if not math.isclose(difference, 0.0, abs_tol=1e-9) else 0.0
    return difference / stderr


def _printed(number: float) -> str:
    return f"{number:.2f}".replace("-", "\N{MINUS SIGN}")
