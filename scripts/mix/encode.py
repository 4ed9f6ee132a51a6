"""Embed the prompts of a pool by a model: the mean of its last hidden states, as a unit vector.

`records/` has one row per distinct prompt: id and vector. A data set whose `select` names an `encoder` measures the
distances between its candidates by these vectors. A prompt is read up to the model's context or `LONGEST` tokens.

python -m scripts.mix.encode --recipe JSON --pool MANIFEST --encoder MANIFEST --out MANIFEST
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from transformers import AutoModel, AutoTokenizer
from transformers.utils.logging import disable_progress_bar

from scripts.common import products
from scripts.common.records import RECORDS, chunks, iterate, prompt_of
from scripts.common.settings import Engine
from scripts.common.step import Run, step

LONGEST = 1_024
"""Tokens of a prompt that are read at most: by then it has said what it asks."""


class EncodeError(ValueError):
    """The prompts cannot be embedded: the message names the folder and the cause."""


class Encoder:
    """A checkpoint that turns texts into unit vectors, on a GPU if there is one."""

    def __init__(self, folder: Path, settings: Engine) -> None:
        products.use_openblas()
        disable_progress_bar()  # loading takes a second, and the bar would be in every log
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        model = AutoModel.from_pretrained(folder, dtype=getattr(torch, settings.dtype))
        self.model = model.eval().to(self.device)
        self.batch_size = settings.batch_size
        self.longest = min(LONGEST, model.config.max_position_embeddings)
        self.width: int = model.config.hidden_size

    @torch.inference_mode()
    def __call__(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Unit vectors, [texts, width]; a batch holds texts of similar length."""
        tokenized = self.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        ids = [tokens[: self.longest] or [0] for tokens in tokenized]
        order = sorted(range(len(ids)), key=lambda place: (len(ids[place]), place))
        vectors = np.zeros((len(ids), self.width), np.float32)
        for batch in chunks(order, self.batch_size):
            vectors[batch] = self._encode([ids[place] for place in batch])
        return vectors

    def _encode(self, ids: list[list[int]]) -> npt.NDArray[np.float32]:
        width = max(map(len, ids))
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in ids], device=self.device)
        padded = torch.tensor([row + [0] * (width - len(row)) for row in ids], device=self.device)
        states = self.model(input_ids=padded, attention_mask=mask).last_hidden_state.float()
        means = (states * mask[:, :, None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)
        return torch.nn.functional.normalize(means, dim=-1).cpu().numpy()


def prompts(folder: Path) -> Iterator[tuple[str, str]]:
    """(id, prompt) of each distinct id in a folder of records, in order."""
    seen: set[str] = set()
    for row in iterate(folder, ["id", "messages"]):
        if row["id"] not in seen:
            seen.add(row["id"])
            yield row["id"], prompt_of(row["messages"])


def schema(width: int) -> pa.Schema:
    """Schema of the records: id and vector of `width` numbers."""
    return pa.schema([("id", pa.string()), ("vector", pa.list_(pa.float32(), width))])


def encode_shards(items: Iterable[tuple[str, str]], encode: Encoder, shard_size: int, work: Path) -> Iterator[pa.Table]:
    """The vectors shard by shard. Finished shards are kept in `work`, so a killed job continues after the last one."""
    work.mkdir(parents=True, exist_ok=True)
    for number, shard in enumerate(chunks(items, shard_size)):
        path = work / f"{number:05}.parquet"
        if not path.is_file():
            flat = pa.array(encode([text for _, text in shard]).ravel())
            ids = pa.array([name for name, _ in shard])
            table = pa.table([ids, pa.FixedSizeListArray.from_arrays(flat, encode.width)], schema=schema(encode.width))
            partial = path.with_suffix(f".{os.getpid()}")
            pq.write_table(table, partial)
            os.replace(partial, path)
        print(f"encoded {number * shard_size + len(shard)} prompts", flush=True)
        yield pq.read_table(path)


def write_vectors(run: Run[Engine]) -> dict[str, Any]:
    """Write `records/`; return the counts. Raises EncodeError if the pool holds no record."""
    folder, encode = run.input("pool").folder / RECORDS, Encoder(run.input("encoder").folder, run.settings)
    written = 0
    (run.out / RECORDS).mkdir()
    with pq.ParquetWriter(run.out / RECORDS / "00000.parquet", schema(encode.width)) as writer:
        for table in encode_shards(prompts(folder), encode, run.settings.shard_size, run.work):
            writer.write_table(table)
            written += len(table)
    if not written:
        raise EncodeError(f"{folder} holds no record: did an earlier step drop them all?")
    return {"in": written, "kept": written, "dropped": {}, "width": encode.width}


def main() -> None:
    with step(__spec__, inputs=("pool", "encoder"), settings=Engine) as run:
        run.counts |= write_vectors(run)


if __name__ == "__main__":
    main()
