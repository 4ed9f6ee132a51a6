"""Replace each `revision: unpinned` of a scale's file by the present commit of the data set's main branch on the hub.

    python -m scripts.workflow.pin --scale paper

Nothing else in the file changes: comments, order and every other revision stay as they are. Look at the data of the new
commits, then commit the file: from then on everybody reads the same data.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml
from huggingface_hub import HfApi

from scripts.sources.settings import UNPINNED
from scripts.workflow.config import ConfigError, scale_file


class PinError(RuntimeError):
    """A revision could not be looked up; the message names source, data set and fix."""


@dataclass(frozen=True)
class Unpinned:
    """A source without a commit, and the start and end of its placeholder in the file's text, in characters."""

    source: str
    dataset: str
    start: int
    end: int


def unpinned(text: str) -> Iterator[Unpinned]:
    """The sources of a scale's file that are not pinned, in the file's order."""
    for name, source in _entries(_entry(yaml.compose(text), "sources")):
        revision, dataset = _entry(source, "revision"), _entry(source, "dataset")
        if isinstance(revision, yaml.ScalarNode) and revision.value == UNPINNED:
            if not isinstance(dataset, yaml.ScalarNode):
                raise PinError(
                    f"sources.{name}: `revision: {UNPINNED}` but no `dataset:` in the same entry: write both in it"
                )
            yield Unpinned(name, dataset.value, revision.start_mark.index, revision.end_mark.index)


def pin(text: str, commit_of: Callable[[str], str]) -> tuple[str, dict[str, str]]:
    """The file's text with every placeholder replaced, and the pinned commits: source to commit."""
    items = list(unpinned(text))
    pinned = {item.source: _checked(item, commit_of(item.dataset)) for item in items}
    for item in reversed(items):
        text = text[: item.start] + pinned[item.source] + text[item.end :]
    return text, pinned


def _checked(item: Unpinned, commit: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{40}", commit):
        raise PinError(f"sources.{item.source}: the hub gave {commit!r} for {item.dataset}, which is not a commit")
    return commit


def hub_commit(dataset: str) -> str:
    """The commit of a data set's main branch. Raises PinError if the hub or the data set cannot be reached."""
    try:
        return HfApi().dataset_info(dataset).sha or ""
    except Exception as error:  # the client raises many types; each means that the commit is not known
        raise PinError(f"{dataset}: {error}. Run this on a machine that can reach the hub") from error


def _entries(node: yaml.Node | None) -> Iterator[tuple[str, yaml.Node]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield key.value, value


def _entry(node: yaml.Node | None, name: str) -> yaml.Node | None:
    return dict(_entries(node)).get(name)


def replace_file(path: Path, text: str) -> None:
    """Write a file atomically."""
    partial = path.with_suffix(".partial")
    partial.write_text(text)
    os.replace(partial, path)


def main() -> None:
    """Pin a scale's file in place and print the commits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", default="paper")
    try:
        path = scale_file(parser.parse_args().scale)
        text, pinned = pin(path.read_text(), hub_commit)
    except (ConfigError, PinError) as error:
        raise SystemExit(str(error)) from None
    if not pinned:
        raise SystemExit(f"{path}: nothing is {UNPINNED}")
    replace_file(path, text)
    print("\n".join(f"sources.{name}: {commit}" for name, commit in pinned.items()))


if __name__ == "__main__":
    main()
