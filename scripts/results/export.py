"""Export a run as a Workflow Run RO-Crate, which archives and workflow registries understand.

    python -m scripts.results.export OUT.zip [--results results/tiny] [table/row/column]

With a cell, the crate holds the cell and all artifacts behind it; without one, everything that is made. It contains
the workflow, every artifact's manifest and run record, and the single-file artifacts (scores, cells, tables). Large
data are not included; their manifests state their digests. Each job is a `CreateAction` with its step, recipe, inputs
and outputs.

RO-Crate 1.1 (https://w3id.org/ro/crate/1.1) with the profiles Process Run Crate and Workflow Run Crate 0.5.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from rocrate.model.contextentity import ContextEntity
from rocrate.model.entity import Entity
from rocrate.rocrate import ROCrate

from scripts.common.artifacts import MANIFEST, canonical_json, digest_json, run_path
from scripts.common.fingerprint import ROOT
from scripts.common.lineage import Lineage, Node, trace
from scripts.results.lineage import CellNotFound, find_cell
from scripts.results.verify import artifacts

LICENCE = "https://spdx.org/licenses/Apache-2.0"
CONTEXT = "https://w3id.org/ro/terms/workflow-run/context"
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
BIOSCHEMAS = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
FORMATS = {
    ".json": "application/json",
    ".run": "application/json",
    ".md": "text/markdown",
    ".csv": "text/csv",
    ".html": "text/html",
    ".yaml": "application/yaml",
    ".tex": "application/x-tex",
}
LARGE = frozenset({".parquet"})
"""Endings of single files that are not included: the raw generations."""


class ExportError(RuntimeError):
    """The results cannot be exported; the message says why."""


def export(lineage: Lineage, results: Path, about: str) -> ROCrate:
    """The crate of a lineage, with the jobs in the order of their start. Raises ExportError if it is inconsistent."""
    if lineage.problems:
        raise ExportError("; ".join(lineage.problems))
    crate = ROCrate(version="1.1")
    crate.metadata.extra_contexts.append(CONTEXT)
    jobs = sorted(_jobs(lineage), key=lambda nodes: (nodes[0].record["started"], nodes[0].path))
    commits = ", ".join(sorted({str(nodes[0].record.get("commit")) for nodes in jobs}))
    _describe(crate, jobs, results, about, commits)
    workflow = _workflow(crate, results, commits)
    entities = {path: _artifact(crate, node, results) for path, node in lineage.nodes.items()}
    actions = [_action(crate, nodes, entities) for nodes in jobs]
    targets = [entities[path] for path in _targets(lineage)]
    sources = [entity for nodes in jobs if not nodes[0].inputs for entity in _of(nodes, entities)]
    whole = _add(
        crate,
        "#run",
        "CreateAction",
        {
            "name": f"Making of {about}",
            "description": f"Snakemake made {about}",
            "startTime": min(nodes[0].record["started"] for nodes in jobs),
            "endTime": max(ended(nodes[0]) for nodes in jobs),
            "actionStatus": "http://schema.org/CompletedActionStatus",
        },
    )
    whole["instrument"], whole["object"], whole["result"] = workflow, _unpacked(sources), _unpacked(targets)
    crate.root_dataset["mentions"] = [whole, *actions]
    return crate


def _jobs(lineage: Lineage) -> Iterator[list[Node]]:
    """The artifacts, grouped by the job that made them."""
    jobs: dict[tuple[str, str], list[Node]] = {}
    for node in lineage.nodes.values():
        jobs.setdefault((node.record["started"], canonical_json(node.record["outputs"])), []).append(node)
    yield from jobs.values()


def _targets(lineage: Lineage) -> list[Path]:
    """The artifacts that no other artifact was made from."""
    used = {source for node in lineage.nodes.values() for source in node.inputs}
    return [path for path in lineage.nodes if path not in used]


def ended(node: Node) -> str:
    """When the job of an artifact ended: its start plus its duration."""
    started = datetime.fromisoformat(node.record["started"])
    return (started + timedelta(seconds=node.record["seconds"])).isoformat(timespec="seconds")


def _describe(crate: ROCrate, jobs: Iterable[list[Node]], results: Path, about: str, commits: str) -> None:
    crate.name = f"NebulaExp-8B recipe: {about}"
    crate.description = (
        f"{about}, made by the nebulaexp pipeline at commit {commits} in {results.as_posix()}. Manifests, "
        "records of every run, scores, cells and tables; data and checkpoints are named by their digests."
    )
    crate.license = _add(crate, LICENCE, "CreativeWork", {"name": "Apache License 2.0"})
    crate.datePublished = datetime.fromisoformat(max(ended(nodes[0]) for nodes in jobs))
    crate.root_dataset["conformsTo"] = [
        _add(crate, address, "CreativeWork", {"name": name, "version": address.rsplit("/", 1)[-1]})
        for address, name in PROFILES.items()
    ]


def _workflow(crate: ROCrate, results: Path, version: str) -> Entity:
    """The workflow in its present state: the Snakefile, its rules and its configuration."""
    properties = {"name": "nebulaexp", "version": version, "encodingFormat": "text/plain"}
    workflow = crate.add_workflow(ROOT / "Snakefile", "Snakefile", main=True, lang="snakemake", properties=properties)
    workflow["conformsTo"] = _add(crate, BIOSCHEMAS, "CreativeWork", {"name": "Bioschemas ComputationalWorkflow"})
    _file(crate, ROOT / "README.md", "README.md", {"name": "README.md", "about": {"@id": "./"}})
    scale = results.name.split("-seed-")[0]
    files = [*sorted((ROOT / "rules").glob("*.smk")), ROOT / "config.yaml", ROOT / "scales" / f"{scale}.yaml"]
    workflow["hasPart"] = [
        _file(crate, path, path.relative_to(ROOT).as_posix(), {"name": path.name}) for path in files if path.is_file()
    ]
    return workflow


def _artifact(crate: ROCrate, node: Node, results: Path) -> Entity:
    """An artifact, with its manifest or content; of a large file, the digest alone."""
    name = node.path.relative_to(results).as_posix() if node.path.is_relative_to(results) else node.path.as_posix()
    properties = {"name": name.removesuffix(f"/{MANIFEST}"), "sha256": node.digest}
    record = run_path(node.path)
    _file(crate, record, f"results/{name}".replace(node.path.name, record.name), {"name": record.name})
    if node.path.suffix in LARGE:
        return _add(crate, f"#sha256-{node.digest}", "CreativeWork", properties)
    return _file(crate, node.path, f"results/{name}", properties)


def _action(crate: ROCrate, nodes: list[Node], entities: Mapping[Path, Entity]) -> Entity:
    """One job: the step is the instrument, recipe and inputs are its objects, the artifacts are its results."""
    record = nodes[0].record
    first = entities[nodes[0].path]["name"]
    action = _add(
        crate,
        f"#job-{digest_json([record['started'], record['outputs']])}",
        "CreateAction",
        {
            "name": f"{record['step']}: {first}",
            "description": f"python -m {record['step']} made {', '.join(record['outputs'])}",
            "startTime": record["started"],
            "endTime": ended(nodes[0]),
            "actionStatus": "http://schema.org/CompletedActionStatus",
        },
    )
    action["instrument"] = _step(crate, record)
    action["object"] = _unpacked([_recipe(crate, record), *(entities[path] for path in nodes[0].inputs)])
    action["result"] = _unpacked(_of(nodes, entities))
    locks = record["recipe"]["environment"].items()
    action["environment"] = _unpacked(
        [
            _add(crate, f"#lock-{name}-{digest}", "PropertyValue", {"name": name, "value": digest})
            for name, digest in locks
        ]
    )
    return action


def _step(crate: ROCrate, record: Mapping[str, Any]) -> Entity:
    version = {"name": record["step"], "softwareVersion": f"code {record['code']}, commit {record.get('commit')}"}
    return _add(crate, f"#{record['step']}-{record['code']}-{record.get('commit')}", "SoftwareApplication", version)


def _recipe(crate: ROCrate, record: Mapping[str, Any]) -> Entity:
    value = canonical_json(record["recipe"])
    name = f"recipe of {record['step']}"
    return _add(crate, f"#recipe-{digest_json(record['recipe'])}", "PropertyValue", {"name": name, "value": value})


def _of(nodes: Iterable[Node], entities: Mapping[Path, Entity]) -> list[Entity]:
    return [entities[node.path] for node in nodes]


def _file(crate: ROCrate, path: Path, name: str, properties: Mapping[str, Any]) -> Entity:
    kind = FORMATS.get(path.suffix, "text/plain")
    return crate.add_file(path, name, properties={"encodingFormat": kind, **properties})


def _unpacked(entities: list[Entity]) -> list[Entity] | Entity:
    """RO-Crate states a single value without a list."""
    return entities[0] if len(entities) == 1 else entities


def _add(crate: ROCrate, identifier: str, kind: str, properties: Mapping[str, Any]) -> Entity:
    """The contextual entity with this identifier, which is added if the crate lacks it."""
    known = crate.get(identifier)
    return known or crate.add(ContextEntity(crate, identifier, properties={"@type": kind, **properties}))


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.results.export",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("out", type=Path, help="the crate, a .zip")
    parser.add_argument(
        "cell", nargs="?", help="TABLE/ROW/COLUMN, or the cell's file; without it, everything that is made"
    )
    parser.add_argument("--results", type=Path, default=Path("results/tiny"), help="results folder")
    arguments = parser.parse_args()
    try:
        made = [find_cell(arguments.cell, arguments.results)] if arguments.cell else artifacts(arguments.results)
        if not made:
            raise ExportError(f"nothing is made in {arguments.results}: `make reproduce` makes it")
        crate = export(trace(made), arguments.results, arguments.cell or arguments.results.as_posix())
    except (CellNotFound, ExportError) as error:
        print(error, file=sys.stderr)
        return 1
    crate.write_zip(arguments.out)
    actions = len(crate.root_dataset["mentions"]) - 1
    print(f"{arguments.out}: {actions} jobs, {arguments.out.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
