"""Artifacts on disk: a folder with a `manifest.json`, or a single file; each has the record of its run beside it.

`manifest.json` holds content alone (digest and size of every file, counts), so a step that is run again and writes the
same bytes changes nothing downstream. A single file is its own content. The record of the run, `run.json` (folder) or
`<file>.run` (file), says how the artifact was made; nothing depends on it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.common.fingerprint import sha256_file

MANIFEST = "manifest.json"
RUN = "run.json"
PARTIAL = ".partial-"
"""Part of the name of the private folder that a running step writes into; a folder left over is from a killed run."""
CARD = "README.md"
UNLISTED = frozenset({MANIFEST, RUN, CARD, ".snakemake_timestamp"})
"""Names at an artifact's root that are not content; every other file must be in the manifest.

A card describes the artifact to people, and no step reads it, so a new wording or an edit by hand changes nothing
downstream.
"""


class ArtifactError(RuntimeError):
    """An artifact is missing, incomplete or not what its manifest says."""


@dataclass(frozen=True)
class Artifact:
    """A finished artifact, verified when opened."""

    path: Path
    """What Snakemake tracks: `<folder>/manifest.json`, or the file itself."""
    digest: str
    """SHA-256 of the tracked file. A folder's manifest lists the digest of each file, so this covers all content."""
    counts: dict[str, Any]
    """The step's counts (records kept, records dropped by reason, ...); empty for a single file."""

    @property
    def folder(self) -> Path:
        return self.path.parent


def run_path(path: Path) -> Path:
    """The path of the record of the run that made the artifact at `path`."""
    return path.with_name(RUN) if path.name == MANIFEST else path.with_name(path.name + ".run")


def open_artifact(path: Path) -> Artifact:
    """Open the artifact at `path` after checking every byte. Raises ArtifactError that names the file and the fix."""
    problems = check(path)
    if problems:
        raise ArtifactError(f"{'; '.join(problems)}. Remake it: delete {path} and run the same target again")
    counts = read_json(path).get("counts", {}) if path.name == MANIFEST else {}
    return Artifact(path, sha256_file(path), counts)


def check(path: Path) -> list[str]:
    """The problems of the artifact at `path`, one message per problem; empty if the artifact is complete."""
    if not path.is_file():
        return [f"{path} is missing"]
    if path.name == MANIFEST:
        return _check_folder(path)
    return _check_file(path)


def _check_folder(path: Path) -> list[str]:
    try:
        listed = {name: entry["sha256"] for name, entry in read_json(path)["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return [f"{path} is not a manifest"]
    files = content_files(path.parent)
    problems = [f"{path.parent / name} is missing though its manifest lists it" for name in listed if name not in files]
    problems += [f"{path.parent / name} is not in the manifest beside it" for name in files if name not in listed]
    for name in listed.keys() & files.keys():
        if sha256_file(files[name]) != listed[name]:
            problems.append(f"{files[name]} does not have the content its manifest states")
    return sorted(problems)


def _check_file(path: Path) -> list[str]:
    record = run_path(path)
    if not record.is_file():
        return [f"{path} has no {record.name} beside it, so its content cannot be checked"]
    try:
        stated = read_json(record)["output"]
    except (ValueError, KeyError, TypeError):
        return [f"{record} is not the record of a run"]
    return [] if stated == sha256_file(path) else [f"{path} does not have the content its {record.name} states"]


def content_files(folder: Path) -> dict[str, Path]:
    """Relative name to path of every content file below `folder`: all but the files that UNLISTED names at its root."""
    files = ((file.relative_to(folder).as_posix(), file) for file in sorted(folder.rglob("*")) if file.is_file())
    return {name: file for name, file in files if name not in UNLISTED}


def write_manifest(folder: Path, counts: dict[str, Any]) -> None:
    """Write `folder/manifest.json`: every content file with its digest and size in bytes, and the step's counts."""
    files = {
        name: {"sha256": sha256_file(file), "bytes": file.stat().st_size}
        for name, file in content_files(folder).items()
    }
    write_json(folder / MANIFEST, {"files": files, "counts": counts})


def replace_folder(partial: Path, final: Path) -> None:
    """Put `partial` in the place of `final`, so that `final` is either the whole new folder or not an artifact."""
    (final / MANIFEST).unlink(missing_ok=True)  # first, so that a kill during the removal leaves no whole folder
    shutil.rmtree(final, ignore_errors=True)
    final.parent.mkdir(parents=True, exist_ok=True)
    os.rename(partial, final)


def canonical_json(value: Any) -> str:
    """JSON with one spelling per value: sorted keys, no spaces. Raises ValueError for NaN, TypeError for odd types."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)


def digest_json(value: Any) -> str:
    """The first 16 hex digits of the SHA-256 of the value's canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:16]


def read_json(path: Path) -> Any:
    """The JSON document at `path`. Raises ValueError that names the file."""
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically, with its keys in their order."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False) + "\n")
    os.replace(partial, path)
