"""A data set of the hub, pinned to a commit: run where there is a network, so that all after it need none.

python -m scripts.sources.download --recipe JSON --out results/paper/downloads/NAME/manifest.json
"""

from __future__ import annotations

from scripts.common.hub import copy_snapshot
from scripts.common.settings import Settings
from scripts.common.step import step
from scripts.sources.rows import SourceError
from scripts.sources.settings import UNPINNED


class Download(Settings):
    """What is fetched for a source; what is done with it is for `normalize` to know."""

    name: str
    dataset: str
    revision: str
    files: str | None


def main() -> None:
    """The step: the repository's files as they are at the commit."""
    with step(__spec__, inputs=(), settings=Download) as run:
        asked = run.settings
        if asked.revision == UNPINNED:
            raise SourceError(
                f"sources.{asked.name}.revision: {asked.dataset} is {UNPINNED}. Pin it where there is a network, "
                "with `python -m scripts.workflow.pin --scale <scale>`, or state the commit"
            )
        copy_snapshot(
            "dataset", asked.dataset, asked.revision, run.out, patterns=[asked.files] if asked.files else None
        )


if __name__ == "__main__":
    main()
