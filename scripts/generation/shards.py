"""Generate shard by shard: a killed job resumes after its last finished shard and ends with the same bytes.

Prompts are cut into shards of `shard_size` in their order, and sorted by length within a shard, since equal lengths
need little padding. Memory holds one shard. A finished shard is `work/00007-<digest>.parquet`. The digest covers model,
prompts, sampling and seed, so a shard of other prompts or of another checkpoint is never mistaken for it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from scripts.common.artifacts import canonical_json
from scripts.common.records import Message, chunks
from scripts.common.settings import Sampling
from scripts.generation.prompts import Completion, ModelEngine, Prompt, encode, fits, require_fit

COMPLETION = pa.struct([("text", pa.string()), ("finish_reason", pa.string()), ("tokens", pa.int32())])
SHARD = pa.schema([("completions", pa.list_(COMPLETION))])
Chat = tuple[str, Sequence[Message]]
"""The key of a prompt (its record's id), and its messages."""


@dataclass(frozen=True)
class Request:
    """What all prompts of a job have in common."""

    sampling: Sampling
    thinking: bool
    samples: int
    seed: int
    model: str
    """Digest of the checkpoint's manifest."""
    shard_size: int
    """Prompts per shard."""
    skip_overlong: bool = False
    """A prompt that leaves no room for a completion gets none; otherwise it is an error."""


def generate(engine: ModelEngine, chats: Iterable[Chat], request: Request, work: Path) -> Iterator[list[Completion]]:
    """Yield the completions of each chat, in the order of the chats.

    Raises GenerationError if a prompt does not fit the model's context, unless `skip_overlong` is set.
    """
    done = 0
    for number, chunk in enumerate(chunks(chats, request.shard_size)):
        prompts = encode(engine.tokenizer, chunk, request.thinking)
        if not request.skip_overlong:
            require_fit(prompts, engine.context, request.sampling)
        path = work / f"{number:05}-{shard_digest(prompts, request)}.parquet"
        if not path.is_file():
            _write(path, complete(engine, prompts, request))
        done += len(prompts)
        print(f"generated {done} prompts x {request.samples}", flush=True)
        yield from _read(path)


def complete(engine: ModelEngine, prompts: Sequence[Prompt], request: Request) -> list[list[Completion]]:
    """The completions of a shard's prompts; none for a prompt that does not fit.

    A greedy completion is generated once and repeated, since all samples would be equal.
    """
    sampling = request.sampling
    greedy = sampling.temperature == 0
    order = sorted(
        (place for place in range(len(prompts)) if fits(prompts[place], engine.context, sampling)),
        key=lambda place: (len(prompts[place].tokens), place),
    )
    drawn = engine.complete(
        [prompts[place] for place in order], sampling, samples=1 if greedy else request.samples, seed=request.seed
    )
    completions: list[list[Completion]] = [[] for _ in prompts]
    for place, samples in zip(order, drawn, strict=True):
        completions[place] = samples * request.samples if greedy else samples
    return completions


def shard_digest(prompts: Sequence[Prompt], request: Request) -> str:
    """16 hex digits: the digest of everything that decides a shard's completions."""
    digest = hashlib.sha256(canonical_json(asdict(request) | {"sampling": request.sampling.model_dump()}).encode())
    for prompt in prompts:
        digest.update(f"{prompt.key}\0{','.join(map(str, prompt.tokens))}\n".encode())
    return digest.hexdigest()[:16]


def _write(path: Path, completions: Sequence[Sequence[Completion]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [{"completions": [asdict(sample) for sample in samples]} for samples in completions]
    partial = path.with_suffix(f".{os.getpid()}")
    pq.write_table(pa.Table.from_pylist(rows, schema=SHARD), partial, compression="zstd")
    os.replace(partial, path)


def _read(path: Path) -> list[list[Completion]]:
    rows = pq.read_table(path).column("completions").to_pylist()
    return [[Completion(**item) for item in row] for row in rows]
