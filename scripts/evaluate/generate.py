"""Put benchmarks to a model and keep every raw generation: one file a benchmark, one row a sample.

Several benchmarks share one start of the engine. A row has id, sample, prompt (messages), response (raw,
thinking included), finish_reason, tokens, thinking, answer; items keep the benchmark's order.

python -m scripts.evaluate.generate --recipe JSON --model MANIFEST --benchmarks MANIFEST... --out PARQUET...
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from scripts.common.artifacts import Artifact
from scripts.common.chat.templates import apply_template
from scripts.common.records import KEPT, Message, chunks, iterate, prompt_messages
from scripts.common.step import Run, step
from scripts.evaluate.generations import GENERATION, GROUP
from scripts.evaluate.settings.generate import GenerateSettings, Questions
from scripts.generation.engine import load
from scripts.generation.prompts import ModelEngine
from scripts.generation.shards import Request, generate


class BenchmarkError(RuntimeError):
    """A benchmark cannot be put to the model: the message says which and why."""


def question(messages: Sequence[Message], template: str) -> list[Message]:
    """The item's messages with the template around the last one, which must be the user's."""
    prompt = prompt_messages(messages)
    if not prompt or prompt[-1]["role"] != "user":
        raise BenchmarkError(f"an item must end with the user's message, not {[turn['role'] for turn in prompt]}")
    return apply_template(prompt, template)


def items(source: Artifact, questions: Questions) -> list[dict[str, Any]]:
    """The benchmark's records, at most `limit`. Raises BenchmarkError when there are none, or one twice."""
    found = [*islice(iterate(source.folder / KEPT, ["id", "messages", "answer"]), questions.limit)]
    if not found:
        raise BenchmarkError(f"the benchmark {source.folder} has no item: check its source and its dropped records")
    most = Counter(item["id"] for item in found).most_common(1)[0]
    if most[1] > 1:  # tables compare models prompt by prompt
        raise BenchmarkError(f"the benchmark {source.folder} has {most[0]} {most[1]} times: leave out repeated prompts")
    return found


def answers(
    engine: ModelEngine, found: list[dict[str, Any]], questions: Questions, request: Request, work: Path
) -> Iterator[dict[str, Any]]:
    """One row a sample, items in their order."""
    prompts = [question(item["messages"], questions.template) for item in found]
    chats = ((item["id"], prompt) for item, prompt in zip(found, prompts, strict=True))
    for item, prompt, completions in zip(found, prompts, generate(engine, chats, request, work), strict=True):
        for number, completion in enumerate(completions):
            yield {
                "id": item["id"],
                "sample": number,
                "prompt": prompt,
                "response": completion.text,
                "finish_reason": completion.finish_reason,
                "tokens": completion.tokens,
                "thinking": request.thinking,
                "answer": item["answer"],
            }


def write(path: Path, rows: Iterator[dict[str, Any]]) -> int:
    """Write the rows a group at a time and return their number."""
    count = 0
    with pq.ParquetWriter(path, GENERATION, compression="zstd") as writer:
        for group in chunks(rows, GROUP):
            writer.write_table(pa.Table.from_pylist(group, schema=GENERATION))
            count += len(group)
    return count


def sources_of(artifacts: Sequence[Artifact], benchmarks: dict[str, Questions]) -> dict[str, Artifact]:
    """The source of each benchmark, found by the name of its folder."""
    by_name = {artifact.folder.name: artifact for artifact in artifacts}
    missing = {name: asks.source for name, asks in benchmarks.items() if asks.source not in by_name}
    if missing:
        raise BenchmarkError(f"--benchmarks has {sorted(by_name)}, not the source of {missing}")
    return {name: by_name[asks.source] for name, asks in benchmarks.items()}


def evaluate(run: Run[GenerateSettings]) -> None:
    """Write `<benchmark>.parquet` of every benchmark."""
    settings, model = run.settings, run.input("model")
    sources = sources_of(run.inputs["benchmarks"], settings.benchmarks)
    found = {name: items(sources[name], asks) for name, asks in settings.benchmarks.items()}
    engine = load(model.folder, settings.engine, run.seed)
    for name, questions in settings.benchmarks.items():
        start = time.perf_counter()
        request = Request(
            sampling=questions.sampling,
            thinking=settings.thinking,
            samples=questions.samples,
            seed=run.seed,
            model=model.digest,
            shard_size=settings.engine.shard_size,
        )
        count = write(run.out / f"{name}.parquet", answers(engine, found[name], questions, request, run.work / name))
        seconds = time.perf_counter() - start
        run.notes[name] = {"responses": count, "seconds": round(seconds, 2)}
        print(f"{name}: {count} responses to {len(found[name])} prompts in {seconds:.1f} s", flush=True)


def main() -> None:
    with step(__spec__, inputs=("model", "benchmarks"), settings=GenerateSettings) as run:
        evaluate(run)


if __name__ == "__main__":
    main()
