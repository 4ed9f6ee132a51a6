"""A checkpoint of the hub, pinned to a commit, as a model of the pipeline.

    python -m scripts.train.hub --recipe JSON --out MODEL/manifest.json

It comes from the hub's cache where it is there (HF_HUB_OFFLINE=1 asks nobody), else from the hub or the mirror that
HF_ENDPOINT names.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

from scripts.common.artifacts import read_json
from scripts.common.step import Run, step
from scripts.train.settings import HubModel

CONTENT = ("*.json", "*.safetensors", "*.jinja", "merges.txt", "vocab.txt", "*.model")
"""What a checkpoint is made of: configuration, weights, tokenizer, chat template. No pickles."""
NEEDED = ("config.json", "tokenizer_config.json")
INDEX = "model.safetensors.index.json"


class HubError(RuntimeError):
    """The checkpoint could not be had, or is none: the message says what to do."""


def fetch(repository: str, revision: str, folder: Path) -> None:
    """Copy the checkpoint's files into `folder`. Raises HubError where it cannot be had or is not whole."""
    try:
        snapshot = Path(snapshot_download(repository, revision=revision, allow_patterns=list(CONTENT)))
    except (LocalEntryNotFoundError, RepositoryNotFoundError, HfHubHTTPError) as error:
        raise HubError(
            f"{repository} at {revision} can be had neither from the cache nor from the hub: fetch it on a machine "
            f"with a network (hf download {repository} --revision {revision}) and set HF_HOME to that cache, or set "
            f"HF_ENDPOINT to a mirror ({type(error).__name__}: {str(error).splitlines()[0]})"
        ) from error
    for file in sorted(path for path in snapshot.rglob("*") if path.is_file()):
        target = folder / file.relative_to(snapshot)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)  # through the cache's links to the content itself
    check(folder, f"{repository} at {revision}")


def check(folder: Path, name: str) -> None:
    """Raise HubError unless configuration, tokenizer and every shard of the weights are there."""
    missing = [file for file in NEEDED if not (folder / file).is_file()]
    index = folder / INDEX
    shards = sorted(set(read_json(index)["weight_map"].values())) if index.is_file() else ["model.safetensors"]
    missing += [file for file in shards if not (folder / file).is_file()]
    if missing:
        raise HubError(f"{name} is no whole checkpoint: {', '.join(missing)} missing. Is the revision the right one?")


def main() -> None:
    """Recipe in, checkpoint out."""
    with step(__spec__, inputs=(), settings=HubModel) as run:
        bring(run)


def bring(run: Run[HubModel]) -> None:
    """Fetch the checkpoint that the settings name into `run.out`."""
    fetch(run.settings.repository, run.settings.revision, run.out)


if __name__ == "__main__":
    main()
