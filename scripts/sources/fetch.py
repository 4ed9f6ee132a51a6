"""The raw rows of a source: a file of the embedded corpora, a local file or URL, or a downloaded hub data set.

Another kind of source is a member of `Source` in `settings.py`, and its rows here.
"""

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
"""Environment variable with the folder that `file` paths are relative to. The folder is not part of the identity."""


def open_source(name: str, source: Source, files: Path | None, work: Path) -> Iterator[Row]:
    """Rows of a source; `files` is the folder that the generator made or that was downloaded.

    Raises SourceError with the source and the fix if it cannot be read.
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
    digest = sha256_file(path)
    if digest != source.sha256:
        if remote:
            path.unlink()  # the next run asks the server again
        raise SourceError(
            f"sources.{name}.sha256: {source.path if remote else path} has {digest}, "
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


def _hub_rows(name: str, source: HubSource, download: Path) -> Iterator[Row]:
    """Rows of a hub data set that was fetched."""
    if source.files is not None:
        paths = sorted(path for path in download.glob(source.files) if path.is_file())
        if not paths:
            raise SourceError(f"sources.{name}.files: {source.dataset} at {source.revision} has no {source.files}")
        return _counted(name, source, itertools.chain.from_iterable(map(read_rows, paths)))
    return _counted(name, source, _split_rows(name, source, download))


def _split_rows(name: str, source: HubSource, download: Path) -> Iterator[Row]:
    from datasets import load_dataset  # heavy: a second of imports that other kinds do not need

    try:
        yield from load_dataset(str(download), source.subset, split=source.split)
    except Exception as error:  # the library raises many types; each means that the source is stated wrongly
        raise SourceError(
            f"sources.{name}: {source.dataset} at {source.revision} could not be read ({error}): "
            "check its subset and split"
        ) from error


def _counted(name: str, source: HubSource, rows: Iterable[Row]) -> Iterator[Row]:
    """The rows, at most as many as stated. Raises SourceError if their number is not the stated one."""
    stated, read = source.rows, 0
    for row in rows:
        if read == stated:
            if source.cut:
                return
            raise _wrong_number(name, source, f"more than {read:,} rows", "count them, or state `cut: true`")
        read += 1
        yield row
    if stated is not None and read < stated:
        raise _wrong_number(name, source, f"{read:,} rows", f"state {read}")


def _wrong_number(name: str, source: HubSource, number: str, fix: str) -> SourceError:
    return SourceError(
        f"sources.{name}.rows: {source.split or source.files} of {source.dataset} at {source.revision} has {number}, "
        f"the configuration states {source.rows:,}. Check revision and split, or {fix}"
    )
