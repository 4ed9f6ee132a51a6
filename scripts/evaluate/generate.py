"""Generate a model's responses to benchmarks and keep them raw: one file per benchmark, one row per sample.

Several benchmarks share one start of the engine. A row has id, sample, prompt (messages), response (raw, thinking
included), finish_reason, tokens, thinking and answer; items keep the benchmark's order.

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
from scripts.common.records import RECORDS, Message, chunks, iterate, prompt_messages
from scripts.common.step import Run, step
from scripts.evaluate.generations import GENERATION, GROUP
from scripts.evaluate.settings.generate import GenerateSettings, Questions
from scripts.generation.engine import load
from scripts.generation.prompts import ModelEngine
from scripts.generation.shards import Request, generate


class BenchmarkError(RuntimeError):
    """A benchmark cannot be evaluated: the message names it and the cause."""


def question(messages: Sequence[Message], template: str) -> list[Message]:
    """The item's messages with the template around the last one. Raises BenchmarkError unless that is the user's."""
    prompt = prompt_messages(messages)
    if not prompt or prompt[-1]["role"] != "user":
        raise BenchmarkError(f"an item must end with the user's message, not {[turn['role'] for turn in prompt]}")
    return apply_template(prompt, template)


def items(source: Artifact, questions: Questions) -> list[dict[str, Any]]:
    """The benchmark's records, at most `limit`. Raises BenchmarkError if there is none, or if an id is repeated."""
    rows = [*islice(iterate(source.folder / RECORDS, ["id", "messages", "answer"]), questions.limit)]
    if not rows:
        raise BenchmarkError(f"the benchmark {source.folder} has no item: check its source and its dropped records")
    ((name, count),) = Counter(item["id"] for item in rows).most_common(1)
    if count > 1:  # tables compare models prompt by prompt
        raise BenchmarkError(f"the benchmark {source.folder} has {name} {count} times: leave out repeated prompts")
    return rows


def responses(
    engine: ModelEngine, benchmark: list[dict[str, Any]], questions: Questions, request: Request, work: Path
) -> Iterator[dict[str, Any]]:
    """One row per sample, in the order of the benchmark's items."""
    prompts = [question(item["messages"], questions.template) for item in benchmark]
    chats = ((item["id"], prompt) for item, prompt in zip(benchmark, prompts, strict=True))
    for item, prompt, completions in zip(benchmark, prompts, generate(engine, chats, request, work), strict=True):
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
    """Write the rows group by group and return their number."""
    count = 0
    with pq.ParquetWriter(path, GENERATION, compression="zstd") as writer:
        for group in chunks(rows, GROUP):
            writer.write_table(pa.Table.from_pylist(group, schema=GENERATION))
            count += len(group)
    return count


def sources_of(artifacts: Sequence[Artifact], benchmarks: dict[str, Questions]) -> dict[str, Artifact]:
    """The source of each benchmark, by the name of its folder. Raises BenchmarkError if one is missing."""
    by_name = {artifact.folder.name: artifact for artifact in artifacts}
    missing = {name: questions.source for name, questions in benchmarks.items() if questions.source not in by_name}
    if missing:
        raise BenchmarkError(f"--benchmarks has {sorted(by_name)}, not the source of {missing}")
    return {name: by_name[questions.source] for name, questions in benchmarks.items()}


def evaluate(run: Run[GenerateSettings]) -> None:
    """Write `<benchmark>.parquet` for every benchmark."""
    settings, model = run.settings, run.input("model")
    sources = sources_of(run.inputs["benchmarks"], settings.benchmarks)
    rows = {name: items(sources[name], questions) for name, questions in settings.benchmarks.items()}
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
        count = write(run.out / f"{name}.parquet", responses(engine, rows[name], questions, request, run.work / name))
        seconds = time.perf_counter() - start
        run.notes[name] = {"responses": count, "seconds": round(seconds, 2)}
        print(f"{name}: {count} responses to {len(rows[name])} prompts in {seconds:.1f} s", flush=True)


def main() -> None:
    with step(__spec__, inputs=("model", "benchmarks"), settings=GenerateSettings) as run:
        evaluate(run)


if __name__ == "__main__":
    main()
