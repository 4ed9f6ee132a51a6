"""Files of the hub, pinned to a commit, copied into a folder: from its cache where they are there, else fetched.

HF_HUB_OFFLINE=1 asks nobody, HF_HOME names the cache, HF_ENDPOINT a mirror.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError
from huggingface_hub.utils import filter_repo_objects


class HubError(RuntimeError):
    """What was asked of the hub could not be had, or is not whole: the message says what to do."""


def copy_snapshot(
    kind: Literal["model", "dataset"], repository: str, revision: str, folder: Path, patterns: Sequence[str] | None
) -> None:
    """Copy a repository's files (those that match, or all) into `folder`. Raises HubError where they cannot be had."""
    wanted = list(patterns) if patterns else None
    try:
        snapshot = Path(snapshot_download(repository, repo_type=kind, revision=revision, allow_patterns=wanted))
    except (LocalEntryNotFoundError, RepositoryNotFoundError, HfHubHTTPError) as error:
        option = " --repo-type dataset" if kind == "dataset" else ""
        raise HubError(
            f"{repository} at {revision} can be had neither from the cache nor from the hub: fetch it on a machine "
            f"with a network (hf download {repository}{option} --revision {revision}) and set HF_HOME to that cache, "
            f"or set HF_ENDPOINT to a mirror ({type(error).__name__}: {str(error).splitlines()[0]})"
        ) from error
    held = sorted(path.relative_to(snapshot) for path in snapshot.rglob("*") if path.is_file())
    for name in filter_repo_objects(held, allow_patterns=wanted):  # the cache may hold more than was asked for
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(snapshot / name, target)  # through the cache's links to the content itself
