"""Print the jobs that would run, their cost and missing prerequisites. Starts nothing.

    python -m scripts.workflow.plan [--scale paper] [--corpora-dir FOLDER] [target ...]

Snakemake reports which artifacts are pending (`--summary`). The cost of a job is the measured cost of its last run. If
it never ran, `scripts.workflow.estimates` computes the cost; if there is no formula, it is the mean of its step's past
runs.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import fmean
from typing import Any

from scripts.common.artifacts import RUN, read_json, run_path
from scripts.common.fingerprint import ROOT
from scripts.containers import images
from scripts.sources.settings import UNPINNED
from scripts.workflow.artifacts import Artifact, Artifacts
from scripts.workflow.config import Config, ConfigError, read
from scripts.workflow.estimates.basis import ASSUMPTIONS, GB, Basis, Cost
from scripts.workflow.estimates.estimator import estimate
from scripts.workflow.estimates.shapes import shape_of
from scripts.workflow.summary import pending
from scripts.workflow.targets import UnknownTarget, check

SHOWN = 12
"""Number of jobs that the page lists by name; it counts the rest."""


@dataclass(frozen=True)
class Job:
    """A pending job."""

    artifact: Artifact
    outputs: tuple[str, ...]
    """The pending files of the job."""

    @property
    def step(self) -> str:
        """Its step, such as `train.sft`."""
        return self.artifact.step

    @property
    def title(self) -> str:
        """Its first file, below the results folder and without `manifest.json`."""
        below = self.outputs[0].removeprefix(f"{self.artifact.config.results}/")
        return below.removesuffix("/manifest.json")


@dataclass(frozen=True)
class Priced:
    """A pending job with its cost, None if the cost is unknown."""

    job: Job
    cost: Cost | None
    origin: str
    """measured | formula | mean of n runs | unknown"""


def ask_snakemake(scale: str, corpora: str | None, targets: Sequence[str]) -> subprocess.Popen[str]:
    """Start Snakemake's summary in the background, so that the caller can read the configuration meanwhile."""
    command = [sys.executable, "-m", "snakemake", "--summary", *targets, "--config", f"scale={scale}"]
    if corpora is not None:
        command.append(f"corpora_dir={corpora}")
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def jobs_of(artifacts: Artifacts, outputs: Iterable[str]) -> list[Job]:
    """The jobs that make the outputs, without builds of images, which a plan does not count."""
    below = [output for output in outputs if output.startswith(f"{artifacts.config.results}/")]
    return [Job(artifact, tuple(paths)) for artifact, paths in artifacts.jobs(below)]


def past_runs(folder: Path) -> list[dict[str, Any]]:
    """The records of the runs that made the artifacts of a results folder."""
    files = [*folder.rglob(RUN), *folder.rglob("*.run")]
    records = (read_json(file) for file in sorted(files))
    return [record for record in records if "seconds" in record]


def price(config: Config, jobs: Iterable[Job]) -> list[Priced]:
    """The cost of each job: measured, else by formula, else the mean of its step's past runs."""
    basis = Basis(config)
    seconds: dict[str, list[float]] = {}
    for record in past_runs(Path(config.results)):
        seconds.setdefault(record["step"].removeprefix("scripts."), []).append(record["seconds"])
    return [_priced(config, job, basis, seconds.get(job.step, [])) for job in jobs]


def _priced(config: Config, job: Job, basis: Basis, past: list[float]) -> Priced:
    record = run_path(Path(job.outputs[0]))
    if record.is_file():
        return Priced(job, _measured(config, job.step, read_json(record)["seconds"]), "measured")
    if (cost := estimate(basis, job.artifact)) is not None:
        return Priced(job, cost, "formula")
    if past:
        return Priced(job, _measured(config, job.step, fmean(past)), f"mean of {len(past)} runs")
    return Priced(job, None, "unknown")


def _measured(config: Config, step: str, seconds: float) -> Cost:
    budget = config.budget_of(step)
    hours = seconds / 3600 * budget.nodes
    return Cost(gpu_hours=hours * budget.gpus, cpu_hours=hours * budget.cpus, basis=f"{seconds:.0f} s")


def too_long(config: Config, priced: Iterable[Priced]) -> list[str]:
    """Messages about GPU jobs whose estimate is longer than the walltime that they request."""
    messages = []
    for item in priced:
        budget = config.budget_of(item.job.step)
        if item.cost is not None and budget.gpus:
            hours = item.cost.gpu_hours / (budget.gpus * budget.nodes)
            if hours * 60 > budget.minutes:
                messages.append(
                    f"{item.job.title}: {hours:.0f} h on {budget.nodes} x {budget.gpus} GPUs, walltime "
                    f"{budget.minutes / 60:g} h: run it again to resume, or raise resources.{item.job.step}.minutes"
                )
    return messages


def missing(config: Config, jobs: Iterable[Job], corpora: Path) -> list[str]:
    """Missing prerequisites of the jobs: pinned revisions, files, locks and images, free disk."""
    sources = {job.artifact.names["source"] for job in jobs if job.step == "sources.normalize"}
    return missing_sources(config, sources, corpora) + _missing_environments(config) + _missing_disk(config)


def missing_sources(config: Config, names: Iterable[str], corpora: Path) -> list[str]:
    """Messages about sources that cannot be read: not pinned to a commit, or a file that is not below `corpora`."""
    messages = []
    for name in sorted(names):
        source = config.sources[name]
        if source.kind == "hub" and source.revision == UNPINNED:
            messages.append(
                f"sources.{name}.revision: {source.dataset} is {UNPINNED}: "
                f"run python -m scripts.workflow.pin --scale {config.scale}"
            )
        if source.kind == "file" and "://" not in source.path and not (corpora / source.path).is_file():
            messages.append(f"sources.{name}.path: {corpora / source.path} does not exist: set corpora_dir")
    return messages


def _missing_environments(config: Config) -> list[str]:
    names = sorted(set(config.environments.values()))
    locks = [images.lock_file(name) for name in names]
    missing_locks = [f"environments: {lock} does not exist" for lock in locks if not lock.is_file()]
    if missing_locks or not config.containers:
        return missing_locks
    return [problem for name in names if (problem := images.problem(name))]


def _missing_disk(config: Config) -> list[str]:
    free = shutil.disk_usage(ROOT).free / GB
    return [f"disk: {free:.0f} GB are free, disk_gb is {config.disk_gb}"] if free < config.disk_gb else []


def downloads(config: Config, priced: Iterable[Priced]) -> list[tuple[str, float]]:
    """Name and estimated bytes of everything to download: hub data sets, hub models, files behind a URL."""
    named = ((_download(config, item.job), item.cost.download_bytes if item.cost else 0.0) for item in priced)
    return sorted({(name, size) for name, size in named if name is not None})


def _download(config: Config, job: Job) -> str | None:
    """The name of what a job downloads; None if it downloads nothing."""
    names = job.artifact.names
    if job.step == "sources.download":
        source = config.sources[names["source"]]
        return f"{getattr(source, 'dataset', names['source'])} @ {getattr(source, 'revision', '')[:8]}"
    if job.step == "train.hub":
        model = config.models[names["model"]]
        return f"{getattr(model, 'repository', names['model'])} @ {getattr(model, 'revision', '')[:8]}"
    if job.step == "sources.normalize":
        path = getattr(config.sources[names["source"]], "path", "")
        return path if "://" in path else None
    return None


# --- the page ---


def page(config: Config, priced: Sequence[Priced], lacking: Sequence[str]) -> str:
    """The whole plan as text."""
    if not priced:
        return f"Plan of scale {config.scale}: nothing to do"
    parts = [f"Plan of scale {config.scale}: {len(priced):,} jobs. Nothing was started.", _table(config, priced)]
    largest = sorted((item for item in priced if item.cost and item.cost.gpu_hours >= 1), key=_gpu_hours, reverse=True)
    if largest:
        parts.append(_section("Largest jobs, with their formulas", [_line(item) for item in largest], SHOWN))
        parts.append(_section("Assumed", _assumptions()))
    parts.append(_training_disk(config, priced))
    parts.append(_section("To download", [f"{size / GB:7.1f} GB  {name}" for name, size in downloads(config, priced)]))
    parts.append(_section("Longer than its walltime", too_long(config, priced)))
    parts.append(_section("MISSING", lacking))
    return "\n\n".join(part for part in parts if part)


def _training_disk(config: Config, priced: Iterable[Priced]) -> str:
    """A sentence on the disk that the checkpoints of a running training need; empty below 1 GB."""
    kinds = ("train.sft", "train.grpo", "train.opd")
    shapes = [shape_of(config, item.job.artifact.names["model"]) for item in priced if item.job.step in kinds]
    largest = max((shape.parameters for shape in shapes if shape), default=0.0)
    size = ASSUMPTIONS.checkpoint_bytes * largest / GB
    if size < 1:
        return ""
    return f"A running training keeps two checkpoints of up to {size:.0f} GB each while it writes a third."


def _gpu_hours(item: Priced) -> float:
    return item.cost.gpu_hours if item.cost else 0.0


def _line(item: Priced) -> str:
    assert item.cost is not None
    return f"{item.cost.gpu_hours:7,.0f} GPU h  {item.job.title}: {item.cost.basis}"


def _assumptions() -> list[str]:
    return [f"{field.name.replace('_', ' ')}: {getattr(ASSUMPTIONS, field.name):g}" for field in fields(ASSUMPTIONS)]


def _section(title: str, lines: Sequence[str], shown: int | None = None) -> str:
    if not lines:
        return ""
    rest = len(lines) - shown if shown is not None and len(lines) > shown else 0
    return "\n".join([f"{title}:", *(f"  {line}" for line in lines[:shown]), *([f"  and {rest} more"] if rest else [])])


def _table(config: Config, priced: Sequence[Priced]) -> str:
    """One line per step: jobs, estimated hours and disk, and the hours that the jobs request from the cluster."""
    by_step: dict[str, list[Priced]] = {}
    for item in priced:
        by_step.setdefault(item.job.step, []).append(item)
    head = ("step", "jobs", "GPU h", "CPU h", "disk GB", "asked GPU h", "asked CPU h", "from")
    rows = [_row(config, step, by_step[step]) for step in sorted(by_step)]
    totals = ["total", str(len(priced)), *(_number(_sum(row[column] for row in rows)) for column in range(2, 7)), ""]
    lines = [(row[0], str(row[1]), *(_number(value) for value in row[2:7]), row[7]) for row in rows]
    return _columns([head, *lines, totals])


def _row(config: Config, step: str, items: Sequence[Priced]) -> tuple[Any, ...]:
    """The cells of one step's line; an hours or disk cell is None if none of its jobs has an estimate."""
    budget = config.budget_of(step)
    hours = len(items) * budget.nodes * budget.minutes / 60
    known = [item.cost for item in items if item.cost]
    return (
        step,
        len(items),
        _sum(cost.gpu_hours for cost in known),
        _sum(cost.cpu_hours for cost in known),
        _sum(cost.disk_bytes / GB for cost in known),
        hours * budget.gpus,
        hours * budget.cpus,
        ", ".join(sorted({item.origin for item in items})),
    )


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _number(value: float | None) -> str:
    if value is None:
        return "?"
    return f"{value:,.0f}" if value >= 10 or value == 0 else f"{value:.2g}"


def _columns(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column in (0, len(row) - 1) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def main() -> None:
    """Print the plan of a scale, or of the given targets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", help="files or rule names; none: everything")
    parser.add_argument("--scale", default="tiny")
    parser.add_argument("--corpora-dir", help="folder that file sources' paths are relative to")
    arguments = parser.parse_args()
    snakemake = ask_snakemake(arguments.scale, arguments.corpora_dir, arguments.targets)
    try:
        overlay = {"corpora_dir": arguments.corpora_dir} if arguments.corpora_dir else {}
        config = read(arguments.scale, overlay)
        for target in arguments.targets:
            check(config, target)
    except (ConfigError, UnknownTarget) as error:
        snakemake.kill()
        raise SystemExit(str(error)) from None
    summary, errors = snakemake.communicate()
    if snakemake.returncode:
        raise SystemExit(errors.strip() or summary.strip())
    jobs = jobs_of(Artifacts(config), pending(summary))
    priced = price(config, jobs)
    print(page(config, priced, missing(config, jobs, Path(config.corpora_dir or "."))))


if __name__ == "__main__":
    main()
