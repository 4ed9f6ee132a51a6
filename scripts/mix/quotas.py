"""The number of records of each domain, and of each source inside it, that together make an exact size.

The size is divided among the domains, and a domain's part among its sources, either by weights or by the tempered
numbers of records available. If a source cannot give its part, because it has no more records or because of its cap,
the other sources of the domain give the rest.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

Cells = dict[str, dict[str, int]]
"""Records by domain and source."""


class MixError(ValueError):
    """A data set cannot be made as configured: the message names data set, domain, figures and what to change."""


@dataclass(frozen=True)
class Mixture:
    """The configured composition of a data set."""

    name: str
    size: int | None = None
    """None: all records available, up to the caps."""
    domains: Mapping[str, float] | None = None
    """Weights, kept exactly; None: the numbers of records available, tempered."""
    sources: Mapping[str, float] | None = None
    """Weights inside a domain, kept as far as sources have records; None: the numbers available, tempered."""
    temperature: float = 1.0
    """Without weights, shares are proportional to n ** (1 / temperature) for n records (arXiv 1907.05019)."""
    caps: Mapping[str, int] = field(default_factory=dict)
    """Most records of a source in all domains together."""


def largest_remainder(weights: Mapping[str, float], size: int) -> dict[str, int]:
    """Shares of `size` in proportion to the weights (Hamilton's method), exact; ties go to the first name."""
    fractions = {name: Fraction(str(weight)) for name, weight in weights.items()}
    total = sum(fractions.values())
    exact = {name: size * weight / total for name, weight in fractions.items()}
    shares = {name: int(value) for name, value in exact.items()}
    by_remainder = sorted(exact, key=lambda name: shares[name] - exact[name])
    for name in by_remainder[: size - sum(shares.values())]:
        shares[name] += 1
    return shares


def bounded(weights: Mapping[str, float], size: int, bounds: Mapping[str, int]) -> dict[str, int]:
    """Shares by largest remainder, none above its bound; the excess goes to the others in proportion.

    The shares sum to `size`, or to the sum of the bounds if that is less.
    """
    free, fixed = dict(weights), dict[str, int]()
    left = min(size, sum(bounds[name] for name in weights))
    while full := [name for name, share in largest_remainder(free, left).items() if share > bounds[name]]:
        for name in full:
            fixed[name] = bounds[name]
            left -= bounds[name]
            del free[name]
    return {name: (fixed | largest_remainder(free, left))[name] for name in weights}


def quotas(mixture: Mixture, available: Mapping[str, Mapping[str, int]]) -> Cells:
    """The number of records to take of each domain and source; `available` has at least one in each cell.

    Raises MixError if a domain has too few records, or all of them together.
    """
    within = _within_caps(available, mixture.caps)
    have = sum(_totals(within).values())
    size = have if mixture.size is None else mixture.size
    if mixture.domains is not None:
        return _divided(mixture, largest_remainder(mixture.domains, size), available)
    if size > have:
        raise MixError(_too_few(mixture, size, sum(_totals(available).values()), have))
    weights = _tempered(_totals(available), mixture.temperature)
    alone = {domain: {s: min(n, mixture.caps.get(s, n)) for s, n in row.items()} for domain, row in available.items()}
    try:
        return _divided(mixture, bounded(weights, size, _totals(alone)), available)
    except MixError:  # each domain could have its share, but not all of them: several need the same capped source
        return _divided(mixture, bounded(weights, size, _totals(within)), available)


def _divided(mixture: Mixture, wanted: Mapping[str, int], available: Mapping[str, Mapping[str, int]]) -> Cells:
    """`wanted` records of each domain, divided among its sources. Raises MixError if a domain has too few."""
    room = {domain: dict(available.get(domain, {})) for domain in wanted}
    weights = {domain: _source_weights(mixture, row) for domain, row in room.items()}
    cells = {domain: bounded(weights[domain], quota, room[domain]) for domain, quota in wanted.items()}
    while over := {s: cap for s, cap in mixture.caps.items() if sum(row.get(s, 0) for row in cells.values()) > cap}:
        for source, cap in over.items():
            taken = {domain: row[source] for domain, row in cells.items() if row.get(source)}
            for domain, share in largest_remainder(taken, cap).items():
                room[domain][source] = share
        cells = {domain: bounded(weights[domain], quota, room[domain]) for domain, quota in wanted.items()}
    lacking = {domain: _fill(domain, quota, cells, available, mixture) for domain, quota in wanted.items()}
    if short := {domain: number for domain, number in lacking.items() if number}:
        raise MixError(_domains_too_small(mixture, wanted, short, cells))
    return cells


def _totals(cells: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    return {domain: sum(row.values()) for domain, row in cells.items()}


def _tempered(numbers: Mapping[str, int], temperature: float) -> dict[str, float]:
    return {name: n if temperature == 1 else n ** (1 / temperature) for name, n in numbers.items()}


def _source_weights(mixture: Mixture, available: Mapping[str, int]) -> dict[str, float]:
    if mixture.sources is None:
        return _tempered(available, mixture.temperature)
    return {source: mixture.sources[source] for source in available}


def _within_caps(available: Mapping[str, Mapping[str, int]], caps: Mapping[str, int]) -> Cells:
    """The records available in each cell; a source above its cap is reduced to it, in proportion in all its domains."""
    room = {domain: dict(row) for domain, row in available.items()}
    for source, cap in caps.items():
        cells = {domain: row[source] for domain, row in available.items() if source in row}
        if sum(cells.values()) > cap:
            for domain, share in largest_remainder(cells, cap).items():
                room[domain][source] = share
    return room


def _fill(domain: str, quota: int, cells: Cells, available: Mapping[str, Mapping[str, int]], mixture: Mixture) -> int:
    """Fill a domain's quota by moving a capped source away from domains that can spare it; return the shortfall.

    Uses augmenting paths (Ford and Fulkerson 1956), so there is a shortfall only if every division has one.
    """
    while short := quota - sum(cells[domain].values()):
        path = _path(domain, cells, available, mixture.caps)
        if path is None:
            return short
        limits = [short, *(available[taker][source] - cells[taker][source] for taker, source, _ in path)]
        limits += [cells[giver][source] for _, source, giver in path if giver is not None]
        if (spare := _spare(path[-1][1], cells, mixture.caps)) is not None:
            limits.append(spare)
        for taker, source, giver in path:
            cells[taker][source] += min(limits)
            if giver is not None:
                cells[giver][source] -= min(limits)
    return 0


def _path(
    start: str, cells: Cells, available: Mapping[str, Mapping[str, int]], caps: Mapping[str, int]
) -> list[tuple[str, str, str | None]] | None:
    """Steps (taker, source, giver) that give `start` more records: each giver then takes from another source.

    The last step has no giver, because its source has records to spare. None if there is no such path.
    """
    reached: dict[str, list[tuple[str, str, str | None]]] = {start: []}
    queue = deque([start])
    while queue:
        taker = queue.popleft()
        for source in cells[taker]:
            if cells[taker][source] >= available[taker][source]:
                continue
            if _spare(source, cells, caps) != 0:
                return [*reached[taker], (taker, source, None)]
            for giver, row in cells.items():
                if giver not in reached and row.get(source):
                    reached[giver] = [*reached[taker], (taker, source, giver)]
                    queue.append(giver)
    return None


def _spare(source: str, cells: Cells, caps: Mapping[str, int]) -> int | None:
    """Number of records by which a source is below its cap; None without a cap."""
    return caps[source] - sum(row.get(source, 0) for row in cells.values()) if source in caps else None


def _too_few(mixture: Mixture, size: int, total: int, have: int) -> str:
    capped = f", {have} of them within `caps`" if have < total else ""
    return (
        f"datasets.{mixture.name}: wants {size} records, {total} are left after its filters{capped}. Lower `size` to "
        f"{have} or less, {'raise the caps, ' if capped else ''}loosen the filters, or enlarge what it is made from"
    )


def _domains_too_small(mixture: Mixture, wanted: Mapping[str, int], short: Mapping[str, int], cells: Cells) -> str:
    weights = mixture.domains or wanted
    have = {domain: wanted[domain] - short.get(domain, 0) for domain in wanted}
    possible = min(int(have[domain] * sum(weights.values()) / weights[domain]) for domain in short)
    wants = "; ".join(f"{wanted[domain]} of domain {domain}, {have[domain]} are left" for domain in short)
    capped = sorted({source for domain in short for source in cells[domain] if source in mixture.caps})
    return (
        f"datasets.{mixture.name}: wants {wants} after its filters{' and `caps`' if capped else ''}. Lower `size` to "
        f"{possible} or less, give {' and '.join(short)} a smaller weight in `ratios`, "
        f"{'raise the caps of ' + ' and '.join(capped) + ', ' if capped else ''}"
        "loosen the filters, or enlarge what it is made from"
    )
