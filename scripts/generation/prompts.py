"""Prompts as token ids, rendered by the code that renders training data, and the completions that engines return."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from scripts.common.chat.rendering import load_tokenizer, render, render_prompt, token_ids
from scripts.common.records import Message
from scripts.common.settings import Sampling

FinishReason = Literal["stop", "length"]


class GenerationError(RuntimeError):
    """Generation cannot start or go on. The message names the model, prompt, server or setting, and the fix."""


@dataclass(frozen=True)
class Prompt:
    """One prompt, ready for an engine."""

    key: str
    """Identifies the prompt. The seeds of its samples derive from it, and not from the other prompts."""
    tokens: tuple[int, ...]


@dataclass(frozen=True)
class Completion:
    """One sample for one prompt."""

    text: str
    """The generated text, with think blocks, without the end-of-turn token and what follows it."""
    finish_reason: FinishReason
    """`stop`: the model ended its turn; `length`: the completion was cut at `max_tokens`."""
    tokens: int
    """Number of generated tokens, including the end-of-turn token (as vLLM counts)."""


class ModelEngine(Protocol):
    """The interface of an engine; `engine.load` returns one."""

    tokenizer: Any
    context: int
    """Most tokens of a prompt and its completion together."""

    def complete(
        self, prompts: Sequence[Prompt], sampling: Sampling, samples: int, seed: int
    ) -> list[list[Completion]]:
        """`samples` completions per prompt, in the order of the prompts."""
        ...


def chat_tokenizer(folder: Path) -> Any:
    """The tokenizer of a checkpoint. Raises GenerationError if it has no chat template."""
    tokenizer = load_tokenizer(folder)
    if not tokenizer.chat_template:
        raise GenerationError(
            f"{folder} has no chat template, so prompts cannot be rendered as in training: "
            "save the tokenizer with its chat_template (chat_template.jinja beside tokenizer.json)"
        )
    return tokenizer


def stop_ids(folder: Path, tokenizer: Any) -> frozenset[int]:
    """Every token id that ends a turn. Raises GenerationError if there is none.

    They are the tokenizer's end token, those of generation_config.json, and the token that the chat template puts after
    an assistant's turn, because the files of a base model name only the token that ends a text.
    """
    path = folder / "generation_config.json"
    configured = json.loads(path.read_text()).get("eos_token_id") if path.is_file() else None
    ids = configured if isinstance(configured, list) else [configured]
    stops = {int(item) for item in [*ids, tokenizer.eos_token_id] if item is not None}
    turn: list[Message] = [{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}]
    _, _, after = render(turn, tokenizer).rpartition("2")
    special = {item for item, token in tokenizer.added_tokens_decoder.items() if token.special}
    stops |= set(token_ids([after], tokenizer)[0][:1]) & special
    if not stops:
        raise GenerationError(
            f"{folder} names no end-of-turn token: set eos_token in its tokenizer or eos_token_id in {path.name}"
        )
    return frozenset(stops)


def encode(tokenizer: Any, chats: Iterable[tuple[str, Sequence[Message]]], thinking: bool) -> list[Prompt]:
    """Prompts from (key, messages), rendered with the chat template and its thinking switch."""
    named = list(chats)
    if not named:
        return []
    ids = token_ids([render_prompt(messages, tokenizer, thinking) for _, messages in named], tokenizer)
    return [Prompt(key, tuple(tokens)) for (key, _), tokens in zip(named, ids, strict=True)]


def fits(prompt: Prompt, context: int, sampling: Sampling) -> bool:
    """Whether prompt and completion of `max_tokens` fit into the model's context (tokens)."""
    return len(prompt.tokens) + sampling.max_tokens <= context


def require_fit(prompts: Iterable[Prompt], context: int, sampling: Sampling) -> None:
    """Raise GenerationError if a prompt leaves no room for a completion of `max_tokens`."""
    long = [prompt for prompt in prompts if not fits(prompt, context, sampling)]
    if long:
        worst = max(long, key=lambda prompt: len(prompt.tokens))
        raise GenerationError(
            f"{len(long)} prompts do not fit: {worst.key} has {len(worst.tokens)} tokens, which with "
            f"max_tokens {sampling.max_tokens} exceeds the model's context of {context}. "
            "Lower sampling.max_tokens, or take a model with a longer context"
        )


def completion(tokenizer: Any, ids: Sequence[int], stops: Collection[int]) -> Completion:
    """The completion of generated token ids, up to the first end-of-turn token."""
    end = next((place for place, token in enumerate(ids) if token in stops), None)
    kept = list(ids if end is None else ids[:end])
    return Completion(
        text=tokenizer.decode(kept, skip_special_tokens=False, clean_up_tokenization_spaces=False),
        finish_reason="length" if end is None else "stop",
        tokens=len(kept) + (end is not None),
    )


def sample_seed(seed: int, key: str, sample: int) -> int:
    """Seed (56 bits) of one sample of one prompt. It does not depend on other prompts or samples."""
    digest = hashlib.sha256(f"{seed}\0{key}\0{sample}".encode()).digest()
    return int.from_bytes(digest[:7], "big")
