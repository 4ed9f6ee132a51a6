"""Collect what the page shows from artifacts and the records of their runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any, get_args

import pyarrow.parquet as pq

from scripts.common.artifacts import Artifact, read_json
from scripts.common.lineage import STAGES, Lineage, Node, flat
from scripts.common.records import DROPPED, iterate, prompt_of
from scripts.tables.measurement import AVERAGE, Cell
from scripts.tables.results import Result
from scripts.tables.settings import ReportSettings
from scripts.tables.statistics import Verdict

VALUE_SHOWN = 160  # characters of one setting in the lineage
HIT_COLUMNS = ["messages", "benchmark", "benchmark_id", "benchmark_text", "matched", "overlap"]
GENERATION_COLUMNS = ["id", "sample", "prompt", "response", "finish_reason", "tokens", "answer"]


@dataclass(frozen=True)
class Cost:
    """Time and memory of one step, over all of its jobs."""

    stage: str
    step: str
    jobs: int
    seconds: float
    """Sum of the jobs' wall time; jobs that ran in parallel each count."""
    gpu_seconds: float
    peak_bytes: int


@dataclass(frozen=True)
class Facts:
    """Where, when and from what the results were made."""

    seeds: tuple[int, ...]
    commits: tuple[str, ...]
    dirty: bool
    """True if any artifact was made with uncommitted changes."""
    environments: tuple[tuple[str, str], ...]
    """(lock or image definition, its digest)."""
    machines: tuple[str, ...]
    first: str
    last: str
    """When the first and the last job started (UTC)."""
    artifacts: int
    seconds: float


@dataclass(frozen=True)
class Hit:
    """A record that decontamination dropped, and the words that it shares with the benchmark."""

    pool: str
    benchmark: str
    benchmark_id: str
    overlap: float
    part: str
    """The part of the benchmark's item that the record contains: prompt or response."""
    record: str
    matched: str


def costs(nodes: Iterable[Node]) -> list[Cost]:
    """Time and memory by step, ordered by stage."""
    by_step: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for record in _jobs(nodes):
        _, stage, name = record["step"].split(".", 2)
        by_step.setdefault((stage, name), []).append(record)
    costs = [
        Cost(
            stage=stage,
            step=name,
            jobs=len(records),
            seconds=sum(record["seconds"] for record in records),
            gpu_seconds=sum(record["seconds"] * len(record["hardware"]["gpus"]) for record in records),
            peak_bytes=max(record["peak_bytes"] for record in records),
        )
        for (stage, name), records in by_step.items()
    ]
    return sorted(costs, key=lambda cost: (STAGES.index(cost.stage), -cost.seconds, cost.step))


def by_stage(steps: Iterable[Cost]) -> list[Cost]:
    """The costs of steps summed by stage, in the same order; the field `step` lists the steps."""
    groups: dict[str, list[Cost]] = {}
    for cost in steps:
        groups.setdefault(cost.stage, []).append(cost)
    return [
        Cost(
            stage=stage,
            step=", ".join(cost.step for cost in group),
            jobs=sum(cost.jobs for cost in group),
            seconds=sum(cost.seconds for cost in group),
            gpu_seconds=sum(cost.gpu_seconds for cost in group),
            peak_bytes=max(cost.peak_bytes for cost in group),
        )
        for stage, group in groups.items()
    ]


def verdicts(results: Iterable[Result]) -> dict[Verdict, int]:
    """Number of claims by verdict, over all tables; a verdict without claims counts 0."""
    counts = Counter(claim.verdict for result in results for claim in result.claims)
    return {verdict: counts[verdict] for verdict in get_args(Verdict)}


def _jobs(nodes: Iterable[Node]) -> list[Mapping[str, Any]]:
    """One record per job: all files of a job share a record."""
    return list({(node.record["command"], node.record["started"]): node.record for node in nodes}.values())


def facts(nodes: Sequence[Node]) -> Facts:
    """Seeds, commits, environments, machines and times over all artifacts."""
    records = [node.record for node in nodes]
    environments = {
        (name, str(digest)) for record in records for name, digest in record["recipe"].get("environment", {}).items()
    }
    started = sorted(record["started"] for record in records)
    return Facts(
        seeds=tuple(sorted({record["recipe"]["seed"] for record in records})),
        commits=tuple(sorted({record["commit"] for record in records if record["commit"]})),
        dirty=any(record["dirty"] for record in records),
        environments=tuple(sorted(environments)),
        machines=tuple(sorted({_machine(record) for record in records})),
        first=started[0],
        last=started[-1],
        artifacts=len(nodes),
        seconds=sum(record["seconds"] for record in _jobs(nodes)),
    )


def _machine(record: Mapping[str, Any]) -> str:
    hardware = record["hardware"]
    gpus = f", {len(hardware['gpus'])} GPUs" if hardware["gpus"] else ""
    return f"{record['host']} ({hardware['cpus']} x {hardware['cpu']}{gpus})"


def lineage_data(lineage: Lineage, root: Path) -> list[dict[str, Any]]:
    """The artifacts for the page; each gives its inputs as positions in this list."""
    numbers = {path: number for number, path in enumerate(lineage.nodes)}
    return [_artifact(node, root, numbers) for node in lineage.nodes.values()]


def _artifact(node: Node, root: Path, numbers: Mapping[Path, int]) -> dict[str, Any]:
    record = node.record
    settings = {key: _short(str(value), VALUE_SHOWN) for key, value in flat(record["recipe"]["settings"]).items()}
    return {
        "path": below(node.path, root),
        "digest": node.digest,
        "step": record["step"],
        "commit": record["commit"],
        "dirty": record["dirty"],
        "seed": record["recipe"]["seed"],
        "environment": record["recipe"].get("environment", {}),
        "settings": settings,
        "counts": {key: _short(str(value), VALUE_SHOWN) for key, value in flat(node.counts()).items()},
        "seconds": record["seconds"],
        "started": record["started"],
        "host": record["host"],
        "inputs": [numbers[path] for path in sorted(node.inputs)],
    }


def below(path: Path, root: Path) -> str:
    """The path relative to the report's folder `root`, if it is below it."""
    return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()


def cell_data(results: Sequence[Result], cells: Mapping[Path, Cell], lineage: Lineage, root: Path) -> dict[str, Any]:
    """Every cell by its name `table/row/column`, with its position in the lineage and the generations it counts."""
    numbers = {below(path, root): number for number, path in enumerate(lineage.nodes)}
    by_name = {below(path, root): cell for path, cell in cells.items()}
    shown_cells = {}
    for result in results:
        for row in result.rows:
            for column in result.columns:
                path = f"cells/{result.name}/{row.name}/{column}.json"
                shown = [name for name in result.columns if column in (name, AVERAGE) and name != AVERAGE]
                details = {key: value for key, value in asdict(by_name[path]).items() if key != "lineage"}
                shown_cells[f"{result.name}/{row.name}/{column}"] = details | {
                    "title": f"{row.title}: {result.columns[column]}",
                    "table": result.title,
                    "artifact": numbers[path],
                    "samples": [f"{row.model}/{name}" for name in shown],
                }
    return shown_cells


def sample_data(
    scores: Iterable[Path], generations: Mapping[str, Path], settings: ReportSettings
) -> dict[str, dict[str, Any]]:
    """For each `model/benchmark`, some raw generations with their verdicts, evenly spaced over its items."""
    samples = {}
    for path in scores:
        score = read_json(path)
        name = f"{score['model']}/{score['benchmark']}"
        items = score["items"]
        count = min(settings.generations, len(items))
        chosen = {
            items[index * len(items) // count]["id"]: items[index * len(items) // count] for index in range(count)
        }
        rows = pq.read_table(generations[name], columns=GENERATION_COLUMNS).to_pylist()
        samples[name] = {
            "of": len(rows),
            "unverifiable": score["unverifiable"],
            "rows": [
                _generation(row, chosen[row["id"]]["verdicts"][row["sample"]], settings.characters)
                for row in rows
                if row["id"] in chosen and row["sample"] < settings.samples
            ],
        }
    return samples


def _generation(row: Mapping[str, Any], verdict: Mapping[str, Any], characters: int) -> dict[str, Any]:
    return {
        "id": row["id"],
        "sample": row["sample"],
        "prompt": _short("\n\n".join(turn["content"] for turn in row["prompt"]), characters),
        "response": _short(row["response"], characters),
        "expected": _short(row["answer"]["spec"] if row["answer"] else "", characters),
        "tokens": row["tokens"],
        "finish": row["finish_reason"],
        "correct": verdict["correct"],
        "reason": verdict["reason"],
    }


def _short(text: str, characters: int) -> str:
    if len(text) <= characters:
        return text
    return f"{text[:characters]} … ({len(text) - characters:,} characters more)"


def hit_counts(pools: Sequence[Artifact]) -> dict[str, dict[str, int]]:
    """Number of records that decontamination dropped, by benchmark and pool; a benchmark without hits counts 0."""
    by_pool = {_pool_of(pool): pool.counts["hits"] for pool in pools}
    benchmarks = dict.fromkeys(name for counts in by_pool.values() for name in counts)
    return {name: {pool: counts.get(name, 0) for pool, counts in by_pool.items()} for name in benchmarks}


def _pool_of(decontaminated: Artifact) -> str:
    return decontaminated.folder.parent.name


def hits(pools: Iterable[Artifact], settings: ReportSettings) -> list[Hit]:
    """Decontamination hits, taken from the pools in turn, up to the number that the page shows."""
    each = [_hits(pool, settings) for pool in pools]
    return [hit for turn in zip_longest(*each) for hit in turn if hit is not None][: settings.hits]


def _hits(pool: Artifact, settings: ReportSettings) -> list[Hit]:
    rows = iterate(pool.folder / DROPPED, HIT_COLUMNS)
    return [
        Hit(
            pool=_pool_of(pool),
            benchmark=row["benchmark"],
            benchmark_id=row["benchmark_id"],
            overlap=row["overlap"],
            part=row["benchmark_text"],
            record=_short(prompt_of(row["messages"]), settings.characters),
            matched=_short(row["matched"], settings.characters),
        )
        for row in islice(rows, settings.hits)
    ]
