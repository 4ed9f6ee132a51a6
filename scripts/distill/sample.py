"""Sample a model's responses to the prompts of a pool: a teacher's to learn from, or a student's to grade.

`records/` holds the pool's records with the column `responses`, a list of {text, finish_reason, tokens}. `dropped/`
holds the prompts that leave no room for a completion in the model's context and, with `only_verifiable`, the prompts
that have no verifier.

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
from scripts.common.chat.templates import apply_template
from scripts.common.records import has_verifier, prompt_messages
from scripts.common.settings import Engine
from scripts.common.step import Run, step
from scripts.distill.records import OVERLONG, RESPONSES, DistillError, Row, schema_of, take, write_parted
from scripts.distill.settings.sample import Draw, SampleSettings
from scripts.generation.engine import load
from scripts.generation.shards import COMPLETION, Chat, Request, generate

NO_VERIFIER = "not verifiable"


def draw(
    records: Iterable[Row], model: Artifact, engine: Engine, settings: Draw, seed: int, work: Path
) -> Iterator[Row]:
    """The records with their `responses`: an empty list if the prompt leaves no room in the model's context."""
    request = Request(
        sampling=settings.sampling,
        thinking=settings.thinking,
        samples=settings.samples,
        seed=seed,
        model=model.digest,
        shard_size=engine.shard_size,
        skip_overlong=True,
    )
    waiting: deque[Row] = deque()  # records of the current shard

    def chats() -> Iterator[Chat]:
        for record in records:
            waiting.append(record)
            template = settings.templates.get(record["domain"])
            yield record["id"], apply_template(prompt_messages(record["messages"]), template)

    for completions in generate(load(model.folder, engine, seed), chats(), request, work):
        yield waiting.popleft() | {RESPONSES: [vars(item) for item in completions]}


def sample(run: Run[SampleSettings]) -> dict[str, Any]:
    """Write the sampled and the dropped records; return the counts. Raises DistillError if every response is empty."""
    settings, pool, tally = run.settings.responses, run.input("pool"), Tally()
    schema = schema_of(pool)  # an empty pool is an error before the model is loaded

    def make(drop: Callable[[Row, str], None]) -> Iterator[Row]:
        records = take(pool, settings.prompts)
        if run.settings.only_verifiable:
            records = _verifiable(records, drop)
        for row in draw(records, run.input("teacher"), run.settings.engine, settings, run.seed, run.work):
            if row[RESPONSES]:
                tally.add(row[RESPONSES])
                yield row
            else:
                drop(row, OVERLONG)

    counts = write_parted(run.out, "sample", schema, [(RESPONSES, pa.list_(COMPLETION))], make) | tally.counts()
    if counts["empty"] == counts["responses"]:
        raise DistillError(_no_response(run.input("teacher").folder.name, counts))
    return counts


class Tally:
    """Counts of the responses: how they ended, their tokens, and how many hold white space alone."""

    def __init__(self) -> None:
        self.finish: Counter[str] = Counter()
        self.tokens = 0
        self.empty = 0

    def add(self, responses: list[Row]) -> None:
        """Count one prompt's responses."""
        self.finish.update(item["finish_reason"] for item in responses)
        self.tokens += sum(item["tokens"] for item in responses)
        self.empty += sum(not item["text"].strip() for item in responses)

    def counts(self) -> dict[str, Any]:
        """Counts for the manifest."""
        return {
            "responses": self.finish.total(),
            "empty": self.empty,
            "finish": dict(sorted(self.finish.items())),
            "tokens": self.tokens,
        }


def _verifiable(records: Iterator[Row], drop: Callable[[Row, str], None]) -> Iterator[Row]:
    for record in records:
        if has_verifier(record["answer"]):
            yield record
        else:
            drop(record, NO_VERIFIER)


def _no_response(model: str, counts: dict[str, Any]) -> str:
    if not counts["responses"]:
        return f"{model} got no prompt: all {counts['in']} were dropped, {counts['dropped']}"
    return (
        f"{model} generated nothing: all of its {counts['responses']} responses are empty ({counts['finish']}). Check "
        "that its generation_config.json has the end-of-turn token of its chat template, and that `thinking` fits it"
    )


def main() -> None:
    with step(__spec__, inputs=("pool", "teacher"), settings=SampleSettings) as run:
        start = time.perf_counter()
        run.counts |= sample(run)
        run.notes["responses_per_second"] = round(run.counts["responses"] / (time.perf_counter() - start), 1)


if __name__ == "__main__":
    main()
