"""Sample a teacher's responses to the prompts of a pool.

`records/` are the pool's records with `responses`: list of {text, finish_reason, tokens}; `dropped/` are
the prompts that leave no room for a completion in the teacher's context.

python -m scripts.distill.sample --recipe JSON --pool MANIFEST --teacher MANIFEST --out MANIFEST
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from scripts.common.artifacts import Artifact
from scripts.common.generation.engine import load
from scripts.common.generation.shards import COMPLETION, Chat, Request, generate
from scripts.common.records import prompt_messages
from scripts.common.settings import Engine
from scripts.common.step import Run, step
from scripts.distill.frame import Row, schema_of, take, write_parted
from scripts.distill.settings import Draw, SampleSettings

RESPONSES = "responses"
OVERLONG = "prompt too long for the context"


def draw(
    records: Iterable[Row], model: Artifact, engine: Engine, settings: Draw, seed: int, work: Path
) -> Iterator[Row]:
    """The records with their `responses`: none where the prompt leaves no room in the model's context."""
    request = Request(
        sampling=settings.sampling,
        thinking=settings.thinking,
        samples=settings.samples,
        seed=seed,
        model=model.digest,
        shard_size=engine.shard_size,
        skip_overlong=True,
    )
    waiting: deque[Row] = deque()  # the records of the shard at work

    def chats() -> Iterator[Chat]:
        for record in records:
            waiting.append(record)
            yield record["id"], prompt_messages(record["messages"])

    for completions in generate(load(model.folder, engine, seed), chats(), request, work):
        yield waiting.popleft() | {RESPONSES: [vars(item) for item in completions]}


def sample(run: Run[SampleSettings]) -> dict[str, Any]:
    """Write the sampled and the dropped records; return the counts."""
    settings, pool = run.settings.responses, run.input("pool")
    finish: Counter[str] = Counter()
    schema_of(pool)  # an empty pool is an error before the model is loaded

    def make(drop: Callable[[Row, str], None]) -> Iterator[Row]:
        records = take(pool, settings.prompts)
        for row in draw(records, run.input("teacher"), run.settings.engine, settings, run.seed, run.work):
            responses = row[RESPONSES]
            if not responses:
                drop(row, OVERLONG)
                continue
            finish.update(item["finish_reason"] for item in responses)
            finish["tokens"] += sum(item["tokens"] for item in responses)
            yield row

    counts = write_parted(run.out, "sample", pool, [(RESPONSES, pa.list_(COMPLETION))], make)
    tokens = finish.pop("tokens", 0)
    return counts | {"responses": finish.total(), "finish": dict(sorted(finish.items())), "tokens": tokens}


def main() -> None:
    with step(__spec__, inputs=("pool", "teacher"), settings=SampleSettings) as run:
        start = time.perf_counter()
        run.counts |= sample(run)
        run.notes["responses_per_second"] = round(run.counts["responses"] / (time.perf_counter() - start), 1)


if __name__ == "__main__":
    main()
