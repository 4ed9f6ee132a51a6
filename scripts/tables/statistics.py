"""Tests behind the verdicts on claims, all two-sided at the level ALPHA; none corrects for the number of claims.

One seed: z on the differences prompt by prompt, `z = mean / (sd / sqrt n)`, for both rows answer the same prompts
(paired differences, Miller 2024, arXiv 2411.00640). It says nothing about training with another seed.

Several seeds: t of a randomised block design. Seeds are blocks, the table's rows are treatments, and the error is the
mean square of their interaction, `(rows - 1) (seeds - 1)` degrees of freedom. What a seed's prompts and corpora do to
all rows alike cancels; what training and prompts do to each row is the error. Pooling it over the rows is what makes
three seeds say something: a t test of the two rows alone has 2 degrees of freedom. Its price is the assumption that
rows vary alike. Where they do not, the level is not exact: simulated with three seeds, 2 to 12 % in a chain of five
rows trained each from the last, 11 % for a row twice as noisy as the other four.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

ALPHA = 0.05
Verdict = Literal["seen", "not seen", "within noise"]
Differences = Sequence[float]
"""`better - worse` of each prompt of one benchmark."""


@dataclass(frozen=True)
class Comparison:
    """A difference `better - worse` in points and how sure it is."""

    difference: float
    stderr: float
    """Standard error of the difference (points)."""
    p: float
    """Two-sided: how often chance alone gives a difference at least as large."""
    test: str
    """Which test, with its statistic, as the tables print it."""

    @property
    def verdict(self) -> Verdict:
        """seen: significantly above 0; not seen: significantly below; within noise: neither."""
        if self.p >= ALPHA:
            return "within noise"
        return "seen" if self.difference > 0 else "not seen"


def paired_z_test(benchmarks: Sequence[Differences]) -> Comparison:
    """Two rows of one seed, over one benchmark or the unweighted mean of several.

    Differences all alike have no error and are certain. Raises ValueError below two prompts.
    """
    parts = [mean_and_sd(differences) for differences in benchmarks]
    difference = math.fsum(mean for mean, _ in parts) / len(parts)
    squares = (sd**2 / len(differences) for (_, sd), differences in zip(parts, benchmarks, strict=True))
    stderr = math.sqrt(math.fsum(squares)) / len(parts)
    z = _ratio(difference, stderr)
    return Comparison(difference, stderr, math.erfc(abs(z) / math.sqrt(2)), f"paired z = {_printed(z)}")


def block_t_test(rows: Sequence[Sequence[float]], better: int, worse: int) -> Comparison:
    """Two of a table's rows over seeds; `rows[i][s]` is row i's value with seed s.

    With two rows it is the paired t test. Raises ValueError below two rows or two seeds.
    """
    from scipy.stats import t as student  # a second to import, which the tables of one seed need not pay

    count, seeds = len(rows), len(rows[0])
    if count < 2 or seeds < 2:
        raise ValueError(f"blocks need two rows and two seeds at least, given {count} and {seeds}")
    freedom = (count - 1) * (seeds - 1)
    stderr = math.sqrt(2 * interaction(rows) / freedom / seeds)
    difference = (math.fsum(rows[better]) - math.fsum(rows[worse])) / seeds
    t = _ratio(difference, stderr)
    return Comparison(difference, stderr, float(2 * student.sf(abs(t), freedom)), f"t({freedom}) = {_printed(t)}")


def interaction(rows: Sequence[Sequence[float]]) -> float:
    """Sum of squares that neither the means of rows nor those of seeds explain."""
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
        raise ValueError(f"a spread needs at least two values, given {len(values)}")
    mean = math.fsum(values) / len(values)
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def _ratio(difference: float, stderr: float) -> float:
    if math.isclose(stderr, 0.0, abs_tol=1e-9):
        return math.copysign(math.inf, difference) if not math.isclose(difference, 0.0, abs_tol=1e-9) else 0.0
    return difference / stderr


def _printed(number: float) -> str:
    return f"{number:.2f}".replace("-", "\N{MINUS SIGN}")
