"""How many records of each domain, and of each source inside it, make an exact size.

Domains share the size, sources share their domain, both by weights or by what there is, tempered. What a source
cannot give, because it has no more or because of its cap, the other sources of the domain give.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

Cells = dict[str, dict[str, int]]
"""Records by domain and source."""


class MixError(ValueError):
    """A data set cannot be made as asked: the message names data set, domain, figures and what to change."""


@dataclass(frozen=True)
class Mixture:
    """What is asked of a data set's composition."""

    name: str
    size: int | None = None
    """None: all that there is, up to the caps."""
    domains: Mapping[str, float] | None = None
    """Weights, kept exactly; None: by what there is, tempered."""
    sources: Mapping[str, float] | None = None
    """Weights inside a domain, as far as sources can give; None: by what there is, tempered."""
    temperature: float = 1.0
    """Shares without weights go with n ** (1 / temperature) for n records (arXiv 1907.05019): 1 is as they come."""
    caps: Mapping[str, int] = field(default_factory=dict)
    """Most records of a source in all domains together."""


def largest_remainder(weights: Mapping[str, float], size: int) -> dict[str, int]:
    """Shares of `size` in proportion to the weights (Hamilton's method), exact; ties go to the first named."""
    stated = {name: Fraction(str(weight)) for name, weight in weights.items()}
    total = sum(stated.values())
    exact = {name: size * weight / total for name, weight in stated.items()}
    shares = {name: int(value) for name, value in exact.items()}
    by_remainder = sorted(exact, key=lambda name: shares[name] - exact[name])
    for name in by_remainder[: size - sum(shares.values())]:
        shares[name] += 1
    return shares


def bounded(weights: Mapping[str, float], size: int, bounds: Mapping[str, int]) -> dict[str, int]:
    """Shares by largest remainder, none above its bound: what one cannot take goes to the others in proportion.

    Together they are `size`, or all bounds together where these are less.
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
    """Records to take of each domain and source, from those that there are of each (at least one in a cell).

    Raises MixError where a domain has too few, or all have.
    """
    within = _thinned(available, mixture.caps)
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
    except MixError:  # each domain can have its share, but not all at once: a capped source would serve several
        return _divided(mixture, bounded(weights, size, _totals(within)), available)


def _divided(mixture: Mixture, wanted: Mapping[str, int], available: Mapping[str, Mapping[str, int]]) -> Cells:
    """The domains' numbers divided among their sources."""
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


def _thinned(available: Mapping[str, Mapping[str, int]], caps: Mapping[str, int]) -> Cells:
    """What there is of each cell once a source above its cap is brought down to it, in all of its domains alike."""
    room = {domain: dict(row) for domain, row in available.items()}
    for source, cap in caps.items():
        cells = {domain: row[source] for domain, row in available.items() if source in row}
        if sum(cells.values()) > cap:
            for domain, share in largest_remainder(cells, cap).items():
                room[domain][source] = share
    return room


def _fill(domain: str, quota: int, cells: Cells, available: Mapping[str, Mapping[str, int]], mixture: Mixture) -> int:
    """Bring a domain up to its quota where a capped source serves other domains that can do without; what still lacks.

    Augmenting paths (Ford and Fulkerson 1956), so it falls short only where no other division could do better.
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
    """Steps (taker, source, giver) by which `start` gets more: each giver takes from another source in its turn.

    The last source has records to spare and no giver. None where there is no such path.
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
    """How much below its cap a source is; None without a cap."""
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
