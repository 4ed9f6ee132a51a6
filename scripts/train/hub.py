"""Copy a checkpoint of the hub, pinned to a commit, as a model of the pipeline.

python -m scripts.train.hub --recipe JSON --out MODEL/manifest.json
"""

from __future__ import annotations

from pathlib import Path

from scripts.common.artifacts import read_json
from scripts.common.hub import HubError, copy_snapshot
from scripts.common.step import step
from scripts.train.settings.hub import HubModel

CONTENT = ("*.json", "*.safetensors", "*.jinja", "merges.txt", "vocab.txt", "*.model")
"""Files of a checkpoint: configuration, weights, tokenizer, chat template. No pickles, which can run code."""
NEEDED = ("config.json", "tokenizer_config.json")
INDEX = "model.safetensors.index.json"


def fetch(repository: str, revision: str, folder: Path) -> None:
    """Copy the checkpoint's files into `folder`. Raises HubError if it cannot be fetched or files are missing."""
    copy_snapshot("model", repository, revision, folder, CONTENT)
    check(folder, f"{repository} at {revision}")


def check(folder: Path, name: str) -> None:
    """Raise HubError if configuration, tokenizer or a shard of the weights is missing."""
    missing = [file for file in NEEDED if not (folder / file).is_file()]
    index = folder / INDEX
    shards = sorted(set(read_json(index)["weight_map"].values())) if index.is_file() else ["model.safetensors"]
    missing += [file for file in shards if not (folder / file).is_file()]
    if missing:
        raise HubError(f"{name} is not a whole checkpoint: {', '.join(missing)} missing. Is the revision right?")


def main() -> None:
    """Fetch the checkpoint that the recipe names."""
    with step(__spec__, inputs=(), settings=HubModel) as run:
        fetch(run.settings.repository, run.settings.revision, run.out)


if __name__ == "__main__":
    main()
