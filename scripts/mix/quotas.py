"""How many records of each domain make an exact size."""

from __future__ import annotations

from collections.abc import Mapping


class MixError(ValueError):
    """A data set cannot be made as asked: the message names data set, domain, figures and what to change."""


def largest_remainder(weights: Mapping[str, float], size: int) -> dict[str, int]:
    """Shares of `size` in proportion to the weights (Hamilton's method); ties go to the first named."""
    total = sum(weights.values())
    exact = {name: size * weight / total for name, weight in weights.items()}
    shares = {name: int(value) for name, value in exact.items()}
    by_remainder = sorted(exact, key=lambda name: shares[name] - exact[name])
    for name in by_remainder[: size - sum(shares.values())]:
        shares[name] += 1
    return shares


def quotas(name: str, weights: Mapping[str, float], size: int | None, available: Mapping[str, int]) -> dict[str, int]:
    """Records to take of each domain, in proportion to the weights. Raises MixError where a domain has too few."""
    found = largest_remainder(weights, sum(available.values()) if size is None else size)
    if short := {domain: wanted for domain, wanted in found.items() if wanted > available.get(domain, 0)}:
        raise MixError(_explain(name, weights, short, available))
    return found


def _explain(name: str, weights: Mapping[str, float], short: Mapping[str, int], available: Mapping[str, int]) -> str:
    total = sum(weights.values())
    possible = min(int(available.get(domain, 0) * total / weight) for domain, weight in weights.items())
    wants = "; ".join(
        f"{wanted} of domain {domain}, {available.get(domain, 0)} are left" for domain, wanted in short.items()
    )
    return (
        f"datasets.{name}: wants {wants} after its filters. Lower `size` to {possible} or less, give "
        f"{' and '.join(short)} a smaller weight in `ratios`, loosen the filters, or enlarge what it is made from"
    )
