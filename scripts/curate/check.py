"""Would these records pass a pool's filters?

    python -m scripts.curate.check in.jsonl out.jsonl --scale small --pool sft

A line in is a record: {"prompt": "...", "response": "..."} or {"messages": [{"role": "user", "content": "..."}, ...]},
with `domain` (math, code, instruction, knowledge or general) and `answer` if you like. A line out says what the pool's
steps that judge one record do with it, by their own code and the pool's own settings:

    kept     true, or false if a step drops the record or the line is not a record
    step     the first step that drops it, null if none does
    reason   that step's reason, as in the funnel; "bad line: ..." if the line is not a record
    value    what decided: the language and its probability, the number of words, the words that matched, ...
    not_run  the pool's other steps: those that compare records with each other or with a benchmark, and `classify`

Order and number of lines are kept. The counts by step and reason go to stderr.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datatrove.data import Document
from datatrove.pipeline.filters.base_filter import BaseFilter, get_filter_result

from scripts.common.settings import DOMAINS
from scripts.curate.pools import Pool, Step, module_of
from scripts.curate.sieve import Text

# A stage must not know the workflow. This module is not a stage's step but a command of the user, which needs a scale's
# whole configuration; no step imports it.
from scripts.workflow.config import Config, ConfigError, close_matches, read


class LineError(ValueError):
    """A line is not a record: the message says why."""


@dataclass(frozen=True)
class Filter:
    """A step that judges one record."""

    step: str
    block: BaseFilter
    text: Text
    hit: tuple[str, ...]
    """Names of what the block computes for a dropped record."""

    def judge(self, record: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
        """The reason for which the step drops the record, and the value that decided; None if it keeps it."""
        document = Document(text=self.text(record), id="0", metadata=dict(record))
        keep, reason = get_filter_result(self.block.filter(document))
        if keep:
            return None
        return str(reason), {name: document.metadata[name] for name in self.hit if name in document.metadata}


def filters_of(pool: Pool) -> tuple[list[Filter], list[str]]:
    """The pool's filters that judge one record, in its order, and the names of its other steps."""
    filters: list[Filter] = []
    others: list[str] = []
    for settings in pool.steps:
        found = _filter_of(settings)
        if found is None:
            others.append(settings.step)
        else:
            filters.append(found)
    return filters, others


def _filter_of(settings: Step) -> Filter | None:
    """The filter of a step's module; None if the module has none, since it compares records or drops nothing."""
    module = importlib.import_module(f"scripts.curate.{module_of(settings.step)}")
    if not hasattr(module, "FILTER"):
        return None
    return Filter(settings.step, module.FILTER(settings), module.TEXT, tuple(name for name, _ in module.HIT))


def check(lines: Iterable[bytes], pool: Pool) -> Iterator[dict[str, Any]]:
    """One verdict per line, in order."""
    filters, others = filters_of(pool)
    for line in lines:
        try:
            verdict = _verdict(record_of(line), filters)
        except LineError as error:
            verdict = {"kept": False, "step": None, "reason": f"bad line: {error}", "value": None}
        yield verdict | {"not_run": others}


def _verdict(record: dict[str, Any], filters: list[Filter]) -> dict[str, Any]:
    for item in filters:
        dropped = item.judge(record)
        if dropped is not None:
            return {"kept": False, "step": item.step, "reason": dropped[0], "value": dropped[1] or None}
    return {"kept": True, "step": None, "reason": None, "value": None}


def record_of(line: bytes) -> dict[str, Any]:
    """The columns that filters see, from a line of JSON. Raises LineError."""
    try:
        row = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise LineError(f"not JSON in UTF-8 ({error})") from None
    if not isinstance(row, dict):
        raise LineError('not an object: {"prompt": ..., "response": ...} is one')
    domain = row.get("domain") or ""
    if domain not in ("", *DOMAINS):
        raise LineError(f"domain {domain!r} is none of {', '.join(DOMAINS)}")
    messages = _messages(row)
    try:
        json.dumps(messages, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise LineError("a text holds half of a surrogate pair") from None
    return {"messages": messages, "domain": domain}


def _messages(row: dict[str, Any]) -> list[dict[str, str | None]]:
    if ("prompt" in row) == ("messages" in row):
        raise LineError("give `prompt` (and `response`) or `messages`, one of the two")
    if "messages" in row:
        if not isinstance(row["messages"], list):
            raise LineError("messages is not a list")
        return [_message(item, index) for index, item in enumerate(row["messages"])]
    turns = [["user", row["prompt"]]]
    if row.get("response") is not None:
        turns.append(["assistant", row["response"]])
    return [_message(turn, index) for index, turn in enumerate(turns)]


def _message(item: Any, index: int) -> dict[str, str | None]:
    """A message from {role, content} or [role, content]; null stays null, which is for the step `format` to drop."""
    if isinstance(item, list) and len(item) == 2:
        item = {"role": item[0], "content": item[1]}
    if not isinstance(item, dict):
        raise LineError(f"message {index} is not an object with role and content")
    message = {name: item.get(name) for name in ("role", "content")}
    for name, value in message.items():
        if value is not None and not isinstance(value, str):
            raise LineError(f"{name} of message {index} is {type(value).__name__}, not a text")
    return message


def check_file(source: Path, target: Path, pool: Pool) -> Counter[str]:
    """Write one line per line of `source` to `target`, which appears when it is whole; return counts by outcome."""
    counts: Counter[str] = Counter()
    partial = target.with_name(f"{target.name}.partial")
    with source.open("rb") as lines, partial.open("w") as out:
        for verdict in check(lines, pool):
            out.write(json.dumps(verdict, ensure_ascii=False) + "\n")
            counts[_outcome(verdict)] += 1
    partial.rename(target)
    return counts


def _outcome(verdict: dict[str, Any]) -> str:
    if verdict["kept"]:
        return "kept"
    return f"{verdict['step']}: {verdict['reason']}" if verdict["step"] else "bad line"


def pool_of(config: Config, name: str) -> Pool:
    """The pool of a scale. Raises ConfigError that names the pools there are."""
    if name not in config.pools:
        near = close_matches(name, config.pools)
        raise ConfigError(f"--pool: {name!r} is not a pool of the scale {config.scale}; {near}")
    return config.pools[name]


def main() -> None:
    arguments = _arguments()
    try:
        pool = pool_of(read(arguments.scale), arguments.pool)
        counts = check_file(arguments.input, arguments.output, pool)
    except (OSError, ValueError) as error:
        raise SystemExit(f"not checked: {error}") from None
    for outcome, number in sorted(counts.items()):
        print(f"{number:8d} {outcome}", file=sys.stderr)
    _, others = filters_of(pool)
    print(f"not run, since they do not judge one record alone: {', '.join(others) or 'none'}", file=sys.stderr)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.curate.check", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("input", type=Path, help="JSON lines")
    parser.add_argument("output", type=Path, help="JSON lines; replaced only when it is whole")
    parser.add_argument("--scale", required=True, help="a file of scales/, by its name")
    parser.add_argument("--pool", required=True, help="a pool of that scale")
    return parser.parse_args()


if __name__ == "__main__":
    main()
