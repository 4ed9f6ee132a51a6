"""Would an artifact be made again, and why: its record, and those behind it, against the configuration of today.

    python -m scripts.results.why results/tiny/models/opd
    python -m scripts.results.why --cell instruct/ins-grpo/ifeval [--results results/tiny]

Names each first cause once, with the artifacts that it reaches first: a setting, a file of the code with the commit
that changed it last, an input, the lock or image of the environment, the seed, a missing file. What is made from those
artifacts follows and is not listed. Starts nothing and asks nothing of Snakemake: records alone decide.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from scripts.common.artifacts import MANIFEST, ArtifactError, canonical_json, sha256_file
from scripts.common.fingerprint import ROOT, file_digests
from scripts.common.lineage import flat, read_node
from scripts.workflow.artifacts import Artifact, Artifacts, UnknownArtifact
from scripts.workflow.config import ConfigError, read
from scripts.workflow.targets import UnknownTarget

NAMED = 3
"""Artifacts named per cause; the rest are counted."""


@dataclass(frozen=True)
class Cause:
    """One reason to make an artifact again."""

    kind: str
    """setting | seed | numerics | code | input | environment | missing"""
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


def first_causes(artifacts: Artifacts, path: str) -> dict[Cause, list[str]]:
    """Each cause behind `path`, with the artifacts that it reaches by itself, in the order of the pipeline."""
    causes: dict[Cause, list[str]] = {}
    for artifact in _behind(artifacts, path):
        for cause in own_causes(artifact, wanted=path in artifact.outputs):
            causes.setdefault(cause, []).append(artifact.outputs[0])
    return causes


def _behind(artifacts: Artifacts, path: str) -> list[Artifact]:
    """The artifact at `path` and all that it is made from, each once, lowest level first."""
    known = {artifact.outputs: artifact for artifact in artifacts.behind([path]).values()}
    return sorted(known.values(), key=lambda artifact: (artifacts.level(artifact.outputs[0]), artifact.outputs))


def own_causes(artifact: Artifact, wanted: bool) -> list[Cause]:
    """The reasons that concern the artifact itself and not what its inputs are made from.

    A missing file is a reason only if it is `wanted`: an intermediate is made again when something needs it.
    """
    path = Path(artifact.outputs[0])
    if not path.is_file():
        return [Cause("missing", f"{path} is not there")] if wanted else []
    try:
        record = read_node(path).record
    except ArtifactError as error:
        return [Cause("missing", str(error))]
    planned = artifact.recipe
    return [
        *_settings(record["recipe"], planned),
        *_code(record, artifact.step, planned["code"]),
        *_inputs(record["inputs"], artifact.paths_read),
    ]


def _settings(recorded: Mapping[str, Any], planned: Mapping[str, Any]) -> Iterator[Cause]:
    """What differs of the recipe besides the code."""
    before, after = (flat({key: value for key, value in side.items() if key != "code"}) for side in (recorded, planned))
    for key in sorted(before.keys() | after.keys()):
        old, new = (canonical_json(side[key]) if key in side else "absent" for side in (before, after))
        if old != new:
            kind, _, name = key.partition(".")
            yield Cause(kind.replace("settings", "setting"), f"{name}: {old} -> {new}" if name else f"{old} -> {new}")


def _code(record: Mapping[str, Any], step: str, planned: str) -> Iterator[Cause]:
    """The files whose content is not what the artifact was made by."""
    if record["recipe"]["code"] == planned:
        return
    before, after = record.get("files"), file_digests(f"scripts.{step}")
    if before is None:
        yield Cause("code", f"of scripts.{step} changed; its record does not say which file")
        return
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            yield Cause("code", f"{name} is no longer imported, or is gone")
        elif name not in before:
            yield Cause("code", f"{name} is new among the imports, {last_change(name)}")
        elif before[name] != after[name]:
            yield Cause("code", f"{name}, {last_change(name)}")


def last_change(name: str) -> str:
    """Who changed a file last, as git tells: `edited, not committed`, or the commit."""
    if _git("status", "--porcelain", "--", name):
        return "edited, not committed"
    commit = _git("log", "-1", "--date=short", "--format=%h of %ad: %s", "--", name)
    return f"last changed by {commit}" if commit else "of which git knows nothing"


def _git(*arguments: str) -> str:
    try:
        run = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    except FileNotFoundError:
        return ""
    return run.stdout.strip() if run.returncode == 0 else ""


def _inputs(recorded: Mapping[str, str], planned: Iterable[str]) -> Iterator[Cause]:
    """Inputs that are others than those that the artifact was made from."""
    planned = set(planned)
    for name in sorted(recorded.keys() | planned):
        if name not in planned:
            yield Cause("input", f"{name} is no longer read")
        elif name not in recorded:
            yield Cause("input", f"{name} is read now and was not")
        elif Path(name).is_file() and (now := sha256_file(Path(name))) != recorded[name]:
            yield Cause("input", f"{name} has other content: {recorded[name][:12]} -> {now[:12]}")


def tracked(artifacts: Artifacts, name: str) -> str:
    """The tracked file of an artifact that a user names by its folder or by a file. Raises UnknownArtifact."""
    path = Path(name)
    for candidate in (path, path / MANIFEST):
        try:
            return artifacts.find(candidate.as_posix()).outputs[0]
        except UnknownArtifact:
            continue
    return artifacts.find(path.as_posix()).outputs[0]


def results_of(name: str) -> Path:
    """The results folder that a path is in. Raises UnknownArtifact."""
    parts = Path(name).parts
    if len(parts) < 3 or parts[0] != "results":
        raise UnknownArtifact(f"{name} is not an artifact: name a path such as results/tiny/models/opd")
    return Path(*parts[:2])


def artifacts_of(results: Path, overlay: Mapping[str, Any]) -> Artifacts:
    """The artifacts of the scale and seed that a results folder is named after."""
    scale, _, seed = results.name.partition("-seed-")
    return Artifacts(read(scale, {**overlay, **({"seed": int(seed)} if seed else {})}))


def explain(path: str, causes: Mapping[Cause, list[str]]) -> str:
    """The answer in words."""
    if not causes:
        return f"{path} is current: its record and all records behind it state today's recipes and inputs"
    lines = [f"{path} would be made again:"]
    for cause, reached in causes.items():
        lines.append(f"  {cause}")
        lines += [f"      {artifact}" for artifact in reached[:NAMED]]
        lines += [f"      and {len(reached) - NAMED} more"] if len(reached) > NAMED else []
    return "\n".join(lines)


def main() -> None:
    """Print why an artifact or a cell would be made again."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.results.why", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("artifact", nargs="?", help="results/..., a folder or a file")
    parser.add_argument("--cell", help="TABLE/ROW/COLUMN")
    parser.add_argument("--results", type=Path, default=Path("results/tiny"), help="results folder of the cell")
    parser.add_argument("--configfile", type=Path, help="laid over the scale's file")
    arguments = parser.parse_args()
    if (arguments.artifact is None) == (arguments.cell is None):
        parser.error("name an artifact, or a cell with --cell")
    name = arguments.artifact or f"{arguments.results}/cells/{arguments.cell}.json"
    overlay = yaml.safe_load(arguments.configfile.read_text()) if arguments.configfile else {}
    try:
        artifacts = artifacts_of(results_of(name), overlay)
        path = tracked(artifacts, name)
        print(explain(path, first_causes(artifacts, path)))
    except (ConfigError, UnknownArtifact, UnknownTarget) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
