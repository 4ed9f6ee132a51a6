"""Turn records into the rows that trainers read: token ids with labels, or prompts.

Rows that a training leaves out are counted by reason; the counts go into the artifact's manifest.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import Dataset
from transformers import PreTrainedTokenizerBase

from scripts.common.chat.rendering import render, render_prompt, token_ids
from scripts.common.chat.thinking import has_thinking
from scripts.common.records import ROW_GROUP, Message, prompt_messages
from scripts.train.tokenizer import END_OF_TEXT, TURN_END

IGNORED = -100
"""Label of a token without a loss, as PyTorch's cross entropy defines it."""
ROWS = pa.schema(
    [("input_ids", pa.list_(pa.int32())), ("labels", pa.list_(pa.int32())), ("length", pa.int32())],
)


class DataError(ValueError):
    """The data set cannot be trained on: the message says which records and what to change."""


def document(messages: list[Message], tokenizer: PreTrainedTokenizerBase) -> str:
    """A record as a text for pretraining: a chat rendered by the template, or plain text if no turn is a user's."""
    if any(message["role"] == "user" for message in messages):
        return render(messages, tokenizer).rstrip("\n") + END_OF_TEXT
    return "\n\n".join(message["content"] for message in messages) + END_OF_TEXT


def document_row(messages: list[Message], tokenizer: PreTrainedTokenizerBase) -> dict[str, list[int]]:
    """Token ids of a document; each is also a label."""
    (ids,) = token_ids([document(messages, tokenizer)], tokenizer)
    return {"input_ids": ids, "labels": ids}


def chat_row(messages: list[Message], tokenizer: PreTrainedTokenizerBase) -> dict[str, list[int]]:
    """Token ids of a chat up to its last <|im_end|>, with labels for the last assistant turn alone.

    The context is what the model reads at inference. Before an answer without thinking it ends with the empty think
    block that `enable_thinking=False` renders. Thinking is part of the turn that is learned.
    """
    if not messages or messages[-1]["role"] != "assistant":
        raise DataError(f"a chat to train on must end with the assistant's turn: {messages!r}")
    prompt = render_prompt(prompt_messages(messages), tokenizer, has_thinking(messages[-1]["content"]))
    whole = render(messages, tokenizer).rstrip("\n")
    if not whole.startswith(prompt) or not whole.endswith(TURN_END):
        raise DataError(
            f"the chat template renders a prompt differently once it is answered, so training would not see what "
            f"inference does; use Qwen3's template.\nprompt: {prompt!r}\nwhole:  {whole!r}"
        )
    context, answer = token_ids([prompt, whole[len(prompt) :]], tokenizer)
    return {"input_ids": context + answer, "labels": [IGNORED] * len(context) + answer}


def training_set(
    rows: Iterable[dict[str, list[int]]], max_length: int, seed: int, folder: Path, counts: dict[str, Any]
) -> Dataset:
    """The rows of at most `max_length` tokens, shuffled by `seed` and memory-mapped from a file in `folder`.

    Sets the counts `in`, `kept`, `dropped`, `tokens` and `trained_tokens` (tokens with a label).
    """
    counts |= {"in": 0, "kept": 0, "dropped": {"too long": 0}, "tokens": 0, "trained_tokens": 0}
    file = folder / "rows.arrow"
    folder.mkdir(parents=True, exist_ok=True)
    own = folder / f"rows.arrow.{os.environ.get('RANK', '0')}"  # every process writes the same rows
    with pa.OSFile(str(own), "wb") as sink, pa.ipc.new_stream(sink, ROWS) as writer:
        short = _short_rows(rows, max_length, counts)
        while batch := list(islice(short, ROW_GROUP)):
            writer.write_table(pa.Table.from_pylist(batch, schema=ROWS))
    if not counts["kept"]:
        raise DataError(f"none of {counts['in']} rows has at most max_length = {max_length} tokens: raise max_length")
    own.replace(file)  # a process that has mapped the previous file keeps its mapping
    return Dataset.from_file(str(file)).shuffle(seed=seed, keep_in_memory=True)


def _short_rows(
    rows: Iterable[dict[str, list[int]]], max_length: int, counts: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    for row in rows:
        length = len(row["input_ids"])
        counts["in"] += 1
        if length > max_length:
            counts["dropped"]["too long"] += 1
            continue
        counts["kept"] += 1
        counts["tokens"] += length
        counts["trained_tokens"] += sum(label != IGNORED for label in row["labels"])
        yield row | {"length": length}


def prompt_set(
    records: Iterable[dict[str, Any]],
    tokenizer: PreTrainedTokenizerBase,
    thinking: bool,
    max_tokens: int,
    counts: dict[str, Any],
) -> list[dict[str, Any]]:
    """Rows `id`, `prompt` (messages), `domain`, `answer`: one per record whose prompt has at most `max_tokens` tokens.

    Sets the counts `in`, `kept`, `dropped` and `domains` (kept rows per domain).
    """
    kept, dropped = [], Counter[str]()
    for row in _prompts(records):
        (ids,) = token_ids([render_prompt(row["prompt"], tokenizer, thinking)], tokenizer)
        if len(ids) <= max_tokens:
            kept.append(row)
        else:
            dropped["too long"] += 1
    counts |= {"in": len(kept) + dropped.total(), "kept": len(kept), "dropped": {"too long": dropped["too long"]}}
    counts["domains"] = dict(sorted(Counter(row["domain"] for row in kept).items()))
    if not kept:
        raise DataError(
            f"none of {dropped.total()} prompts has at most {max_tokens} tokens: raise rollout.max_prompt_tokens"
        )
    return kept


def _prompts(records: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for record in records:
        messages = prompt_messages(record["messages"])
        yield {"id": record["id"], "prompt": messages, "domain": record["domain"], "answer": record["answer"]}
