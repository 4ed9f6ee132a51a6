"""Fetch a data set of the hub, pinned to a commit. This step needs a network, so that no later one does.

python -m scripts.sources.download --recipe JSON --out results/paper/downloads/NAME/manifest.json
"""

from __future__ import annotations

from scripts.common.hub import copy_snapshot
from scripts.common.settings import Settings
from scripts.common.step import step
from scripts.sources.rows import SourceError
from scripts.sources.settings import UNPINNED


class Download(Settings):
    """The files of a source's data set; `normalize` has the settings of their use."""

    name: str
    dataset: str
    revision: str
    files: str | None


def main() -> None:
    """The step: the repository's files as they are at the commit."""
    with step(__spec__, inputs=(), settings=Download) as run:
        wanted = run.settings
        if wanted.revision == UNPINNED:
            raise SourceError(
                f"sources.{wanted.name}.revision: {wanted.dataset} is {UNPINNED}. Pin it on a machine with a network, "
                "with `python -m scripts.workflow.pin --scale <scale>`, or state the commit"
            )
        copy_snapshot(
            "dataset", wanted.dataset, wanted.revision, run.out, patterns=[wanted.files] if wanted.files else None
        )


if __name__ == "__main__":
    main()
