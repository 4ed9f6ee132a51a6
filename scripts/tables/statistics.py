"""Tests behind the verdicts on claims, all two-sided at the level ALPHA.

One seed: z on the difference of two rows, `z = (a - b) / sqrt(se_a^2 + se_b^2)` with the standard errors
over prompts. Both rows answer the same prompts, so their errors are mostly positively correlated and the
test is conservative; and it says nothing about training with another seed. Several seeds: a paired t test on
the differences within each seed, which does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

ALPHA = 0.05
Verdict = Literal["seen", "not seen", "within noise"]


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


def z_test(better: tuple[float, float], worse: tuple[float, float]) -> Comparison:
    """Two rows of one seed, each (value, stderr). Errors of 0 make any difference certain."""
    difference = better[0] - worse[0]
    stderr = math.hypot(better[1], worse[1])
    z = _ratio(difference, stderr)
    return Comparison(difference, stderr, math.erfc(abs(z) / math.sqrt(2)), f"z = {_printed(z)}")


def paired_t_test(better: Sequence[float], worse: Sequence[float]) -> Comparison:
    """Two rows over the same seeds, in the same order. Raises ValueError below two seeds."""
    from scipy.stats import t as student  # a second to import, which the tables of one seed need not pay

    differences = [a - b for a, b in zip(better, worse, strict=True)]
    seeds = len(differences)
    mean, spread = mean_and_sd(differences)
    stderr = spread / math.sqrt(seeds)
    t = _ratio(mean, stderr)
    return Comparison(mean, stderr, float(2 * student.sf(abs(t), seeds - 1)), f"paired t({seeds - 1}) = {_printed(t)}")


def mean_and_sd(values: Sequence[float]) -> tuple[float, float]:
    """Mean and sample standard deviation (n - 1). Raises ValueError below two values."""
    if len(values) < 2:
        raise ValueError(f"a spread needs at least two seeds, given {len(values)}")
    mean = math.fsum(values) / len(values)
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def _ratio(difference: float, stderr: float) -> float:
    if stderr == 0:
        return math.copysign(math.inf, difference) if difference else 0.0
    return difference / stderr


def _printed(number: float) -> str:
    return f"{number:.2f}".replace("-", "\N{MINUS SIGN}")
