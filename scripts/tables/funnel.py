"""Tabulate what each curation step dropped and why, for every pool: funnel.json and funnel.md.

    python -m scripts.tables.funnel --recipe JSON --pools MANIFEST... --out results/tiny/funnel.{json,md}

The step fails unless in = kept + dropped at every step, and each step reads as many records as the last one kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from scripts.common.artifacts import write_json
from scripts.common.step import step
from scripts.tables.settings import FunnelSettings


class FunnelError(ValueError):
    """The counts of the curation steps do not add up."""


Counts = Mapping[tuple[str, str], Mapping[str, Any]]
"""By (pool, step): the step's counts {in, kept, dropped: {reason: n}}."""


def funnel(pools: Mapping[str, Sequence[str]], counts: Counts) -> dict[str, Any]:
    """`{pool: {raw, kept, dropped, steps: [{step, in, kept, dropped: {reason: n}}]}}`. Raises FunnelError."""
    wanted = {(pool, name) for pool, steps in pools.items() for name in steps}
    if wrong := sorted(wanted ^ counts.keys()):
        raise FunnelError(f"pool steps are missing or not configured: {', '.join('/'.join(key) for key in wrong)}")
    return {pool: _pool(pool, steps, counts) for pool, steps in pools.items()}


def _pool(pool: str, names: Sequence[str], counts: Counts) -> dict[str, Any]:
    steps = [_step(pool, name, counts[pool, name]) for name in names]
    for before, after in pairwise(steps):
        if before["kept"] != after["in"]:
            raise FunnelError(
                f"pool {pool}: {before['step']} kept {before['kept']} records, {after['step']} read {after['in']}"
            )
    raw, kept = steps[0]["in"], steps[-1]["kept"]
    return {"raw": raw, "kept": kept, "dropped": raw - kept, "steps": steps}


def _step(pool: str, name: str, counts: Mapping[str, Any]) -> dict[str, Any]:
    dropped = {reason: number for reason, number in sorted(counts["dropped"].items()) if number}
    if counts["in"] != counts["kept"] + sum(dropped.values()):
        raise FunnelError(
            f"pool {pool}, {name}: {counts['in']} records in, but {counts['kept']} kept and {dropped} dropped"
        )
    return {"step": name, "in": counts["in"], "kept": counts["kept"], "dropped": dropped}


def markdown(pools: Mapping[str, Any]) -> str:
    """One table per pool: records in, kept and dropped by reason."""
    return "# Funnel\n" + "".join(_pool_markdown(name, pool) for name, pool in pools.items())


def _pool_markdown(name: str, pool: Mapping[str, Any]) -> str:
    lines = [f"\n## {name}: {pool['raw']:,} raw = {pool['kept']:,} kept + {pool['dropped']:,} dropped\n"]
    lines += ["| step | in | kept | dropped | reasons |", "| :-- | --: | --: | --: | :-- |"]
    for entry in pool["steps"]:
        reasons = ", ".join(f"{reason} {number:,}" for reason, number in entry["dropped"].items())
        dropped = entry["in"] - entry["kept"]
        lines.append(f"| {entry['step']} | {entry['in']:,} | {entry['kept']:,} | {dropped:,} | {reasons} |")
    return "\n".join(lines) + "\n"


def step_of(manifest: Path) -> tuple[str, str]:
    """Pool and step, which the manifest's path names: `pools/{pool}/{step}/manifest.json`."""
    return manifest.parents[1].name, manifest.parent.name


def main() -> None:
    with step(__spec__, inputs=("pools",), settings=FunnelSettings) as run:
        pools = funnel(run.settings.pools, {step_of(item.path): item.counts for item in run.inputs["pools"]})
        for path in run.outputs:
            if path.suffix == ".json":
                write_json(run.out / path.name, {"pools": pools})
            else:
                (run.out / path.name).write_text(markdown(pools))


if __name__ == "__main__":
    main()
