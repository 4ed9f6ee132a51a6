"""Copy files of a Hugging Face repository, pinned to a commit, into a folder: from the local cache, or downloaded.

The hub's client reads three environment variables: HF_HUB_OFFLINE=1 forbids the network, HF_HOME is the cache's folder,
HF_ENDPOINT is the address of a mirror.
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
    """A snapshot could not be downloaded, or is incomplete; the message says what to do."""


def copy_snapshot(
    kind: Literal["model", "dataset"], repository: str, revision: str, folder: Path, patterns: Sequence[str] | None
) -> None:
    """Copy a repository's files that match `patterns` (None: all files) into `folder`.

    Raises HubError if they are neither in the cache nor can be downloaded.
    """
    wanted = list(patterns) if patterns else None
    try:
        snapshot = Path(snapshot_download(repository, repo_type=kind, revision=revision, allow_patterns=wanted))
    except (LocalEntryNotFoundError, RepositoryNotFoundError, HfHubHTTPError) as error:
        option = " --repo-type dataset" if kind == "dataset" else ""
        raise HubError(
            f"{repository} at {revision} is not in the cache and could not be downloaded: download it on a machine "
            f"with a network (hf download {repository}{option} --revision {revision}) and set HF_HOME to that cache, "
            f"or set HF_ENDPOINT to a mirror ({type(error).__name__}: {str(error).splitlines()[0]})"
        ) from error
    cached = sorted(path.relative_to(snapshot) for path in snapshot.rglob("*") if path.is_file())
    for name in filter_repo_objects(cached, allow_patterns=wanted):  # the cache may hold more files than `wanted`
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(snapshot / name, target)  # follows the cache's symbolic links, so content is copied
