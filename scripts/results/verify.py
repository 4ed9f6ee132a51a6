"""Check every artifact below a results folder: content, completeness, and that its inputs are what they were.

    python -m scripts.results.verify results/tiny

The command reads every byte. It prints one line per problem and the command that makes damaged artifacts again; the
exit code is 1 if there is any problem. The kinds of problems:

    corrupt       a file's content differs from what its manifest or run record states, or nothing lists the file
    missing       a file that a manifest lists, the artifact of a record, or an input does not exist
    half-written  a killed job's private folder, or files without a manifest or record, which no finished step leaves
    stale         the artifact was made from an input whose content has changed since
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

from scripts.common.artifacts import MANIFEST, PARTIAL, ArtifactError, check, content_files, run_path, sha256_file
from scripts.common.lineage import read_node

LOGS = "logs"
"""Folder of the logs in a scale's results; logs are not artifacts."""
NAMED = 20  # artifacts named in the command that makes them again; the next call names the rest
Kind = Literal["corrupt", "missing", "half-written", "stale"]


@dataclass(frozen=True, order=True)
class Problem:
    """One problem in the results folder."""

    kind: Kind
    text: str
    remake: Path | None = field(default=None, compare=False)
    """The artifact that must be made again; None if something must be deleted."""


def artifacts(folder: Path) -> list[Path]:
    """Every finished artifact: manifests, and single files with a run record."""
    files = [path for path in _files(folder) if not _is_partial(path, folder)]
    manifests = [path for path in files if path.name == MANIFEST and not _inside_artifact(path.parent, folder)]
    singles = [path.with_name(path.name.removesuffix(".run")) for path in files if path.name.endswith(".run")]
    return sorted([*manifests, *(path for path in singles if path.is_file())])


def problems(folder: Path) -> list[Problem]:
    """All problems below `folder`, sorted."""
    finished = artifacts(folder)
    damaged = (_damage(path, text) for path in finished for text in check(path))
    digest = cache(sha256_file)
    changed = (problem for path in finished for problem in _inputs(path, digest))
    return sorted({*damaged, *changed, *_unfinished(folder, finished)})


def _damage(path: Path, text: str) -> Problem:
    return Problem("missing" if "is missing" in text else "corrupt", text, path)


def _inputs(path: Path, digest_of: Callable[[Path], str]) -> Iterable[Problem]:
    """Problems with the inputs that the artifact was made from."""
    try:
        node = read_node(path)
    except ArtifactError as error:
        yield Problem("half-written", str(error), path)
        return
    if node.digest != digest_of(path) and path.name == MANIFEST:
        yield Problem("corrupt", f"{path} does not have the content that {run_path(path)} states", path)
    for source, digest in node.inputs.items():
        if not source.is_file():
            yield Problem("missing", f"{source} is missing; {path} was made from it", source)
        elif digest_of(source) != digest:
            fix = "make it again, or delete it if nothing makes it"
            yield Problem("stale", f"{path} was made from {source}, which has changed since: {fix}", path)


def _unfinished(folder: Path, finished: Iterable[Path]) -> Iterable[Problem]:
    """Each partial folder once, and files that belong to no artifact."""
    owned = {path.parent for path in finished if path.name == MANIFEST}
    singles = {path for path in finished if path.name != MANIFEST}
    for partial in sorted(path for path in folder.rglob(f".*{PARTIAL}*") if path.is_dir()):
        yield Problem("half-written", f"{partial} was left by a killed job: delete it, or run its target again")
    for path in _files(folder):
        target = path.with_name(path.name.removesuffix(".run"))
        if _is_partial(path, folder) or path in singles or target in singles or owned.intersection(path.parents):
            continue
        if path.name.endswith(".run"):
            yield Problem("missing", f"{target} is missing, but its record {path.name} exists", target)
        else:
            yield Problem("half-written", f"{path} belongs to no finished artifact")


def _files(folder: Path) -> list[Path]:
    skipped = folder / LOGS
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_relative_to(skipped) and path.name != ".snakemake_timestamp"
    ]


def _is_partial(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") and PARTIAL in part for part in path.relative_to(folder).parts)


def _inside_artifact(inner: Path, folder: Path) -> bool:
    """Whether a folder is inside an artifact's folder, whose manifest then lists its files."""
    above = [parent for parent in inner.parents if parent.is_relative_to(folder)]
    return any((parent / MANIFEST).is_file() for parent in above)


def size(path: Path) -> int:
    """Size of an artifact's content in bytes."""
    files = content_files(path.parent).values() if path.name == MANIFEST else [path]
    return sum(file.stat().st_size for file in files)


def command(folder: Path, wrong: Iterable[Problem]) -> str | None:
    """The command that makes damaged artifacts again, which a plan does not notice.

    None if no artifact is damaged, or if `folder` is not a scale's results folder.
    """
    damaged = sorted({problem.remake.as_posix() for problem in wrong if problem.remake})
    if not damaged or folder.parent != Path("results"):
        return None
    scale, _, seed = folder.name.partition("-seed-")
    options = f"--config scale={scale}" + (f" seed={seed}" if seed else "")
    return f".venv/bin/snakemake --cores all {options} --force {shlex.join(damaged[:NAMED])}"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.results.verify",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("results", type=Path, help="results folder of a scale")
    folder = parser.parse_args().results
    if not folder.is_dir():
        print(f"{folder} is not a folder: run `make reproduce`, or name a scale's results folder", file=sys.stderr)
        return 1
    finished, wrong = artifacts(folder), problems(folder)
    for problem in wrong:
        print(f"{problem.kind:<13} {problem.text}")
    total = sum(size(path) for path in finished)
    print(f"{folder}: {len(finished)} artifacts, {total / 1e6:.1f} MB read, {len(wrong) or 'no'} problems")
    if remake := command(folder, wrong):
        print(f"A plan does not notice damage to finished artifacts. To make them again: {remake}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
