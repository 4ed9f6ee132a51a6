"""The raw rows of a source: a file of the embedded corpora, a local file or URL, or a downloaded hub data set."""

from __future__ import annotations

import itertools
import os
import shutil
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from scripts.common.fingerprint import sha256_file
from scripts.sources.rows import BadRow, SourceError, read_rows
from scripts.sources.settings import FileSource, HubSource, Source

Row = dict[str, Any] | BadRow
CORPORA = "NEBULA_CORPORA"
"""Environment variable with the folder that `file` paths are relative to: where files lie is no identity."""


def open_source(name: str, source: Source, files: Path | None, work: Path) -> Iterator[dict[str, Any] | BadRow]:
    """Rows of a source; `files` is what the generator made, or what was downloaded.

    Raises SourceError naming the source and the fix when it cannot be read.
    """
    if source.kind == "file":
        return read_rows(_checked_file(name, source, work))
    if files is None:
        raise SourceError(f"sources.{name}: a source of kind {source.kind} needs --files")
    if source.kind == "hub":
        return _hub_rows(name, source, files)
    if not (files / source.file).is_file():
        raise SourceError(f"sources.{name}.file: the generator makes no {source.file!r}")
    return read_rows(files / source.file)


def _checked_file(name: str, source: FileSource, work: Path) -> Path:
    remote = "://" in source.path
    path = _download(source.path, work) if remote else _corpora() / source.path
    if not path.is_file():
        raise SourceError(
            f"sources.{name}.path: {path} does not exist; set corpora_dir to the folder that holds {source.path}"
        )
    found = sha256_file(path)
    if found != source.sha256:
        if remote:
            path.unlink()  # the next run asks the server again
        raise SourceError(
            f"sources.{name}.sha256: {source.path if remote else path} has {found}, "
            f"the configuration states {source.sha256}. "
            "Fetch the stated version, or state the new digest if the change is meant"
        )
    return path


def _corpora() -> Path:
    return Path(os.environ.get(CORPORA, "."))


def _download(url: str, work: Path) -> Path:
    """Fetch a URL into the work folder, whole or not at all."""
    work.mkdir(parents=True, exist_ok=True)
    target = work / url.rsplit("/", 1)[-1]
    if not target.exists():
        partial = target.with_suffix(".partial")
        try:
            with urllib.request.urlopen(url, timeout=60) as response, partial.open("wb") as out:
                shutil.copyfileobj(response, out)
        except OSError as error:
            raise SourceError(
                f"{url} could not be fetched ({error}): check the network, or give a local file"
            ) from error
        partial.rename(target)
    return target


def _hub_rows(name: str, source: HubSource, download: Path) -> Iterator[dict[str, Any] | BadRow]:
    """Rows of a hub data set that was fetched."""
    if source.files is not None:
        found = sorted(path for path in download.glob(source.files) if path.is_file())
        if not found:
            raise SourceError(f"sources.{name}.files: {source.dataset} at {source.revision} has no {source.files}")
        return _counted(name, source, itertools.chain.from_iterable(map(read_rows, found)))
    from datasets import load_dataset  # heavy: a second of imports that other kinds do not need

    try:
        rows = load_dataset(str(download), source.subset, split=source.split)
    except Exception as error:  # the library raises many types; each means that the source is stated wrongly
        raise SourceError(
            f"sources.{name}: {source.dataset} at {source.revision} could not be read ({error}): "
            "check its subset and split"
        ) from error
    return _counted(name, source, iter(rows))


def _counted(name: str, source: HubSource, rows: Iterable[Row]) -> Iterator[Row]:
    """The rows asked for. Raises SourceError at the end where there are others than the configuration states."""
    stated, found = source.rows, 0
    for row in rows:
        if found == stated:
            if source.cut:
                return
            raise _wrong_number(name, source, f"more than {found:,} rows", "count them, or state `cut: true`")
        found += 1
        yield row
    if stated is not None and found < stated:
        raise _wrong_number(name, source, f"{found:,} rows", f"state {found}")


def _wrong_number(name: str, source: HubSource, found: str, fix: str) -> SourceError:
    return SourceError(
        f"sources.{name}.rows: {source.split or source.files} of {source.dataset} at {source.revision} has {found}, "
        f"the configuration states {source.rows:,}. Check revision and split, or {fix}"
    )
