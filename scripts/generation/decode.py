"""Batched decoding of a causal language model on a CPU, faster than `generate` if completions end early.

Three things make the difference at a million parameters. Keys and values are written into buffers that are allocated
once, since concatenation would copy all of them at every token. A prompt is read once, however many samples are drawn
from it. Rows that have ended leave the batch. Each sample has its own stream of random numbers, so its text does not
depend on the other rows of the batch, apart from the rounding of matrix products of another shape.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers.cache_utils import Cache, DynamicLayer

from scripts.common.settings import Sampling
from scripts.generation.prompts import GenerationError

DROP_SHARE = 0.125
"""Ended rows leave the batch once they are this share of it, since removing them copies the buffers."""


class BufferLayer(DynamicLayer):
    """Keys and values of one layer, [rows, heads, capacity, head_dim], written in place."""

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self.capacity = capacity
        self.length = 0

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        self.dtype, self.device = key_states.dtype, key_states.device
        self.keys = _buffer(key_states, self.capacity)
        self.values = _buffer(value_states, self.capacity)
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        assert self.keys is not None and self.values is not None
        start, self.length = self.length, self.length + key_states.shape[2]
        self.keys[:, :, start : self.length] = key_states
        self.values[:, :, start : self.length] = value_states
        return self.keys[:, :, : self.length], self.values[:, :, : self.length]

    def get_seq_length(self) -> int:
        return self.length

    def take(self, rows: torch.Tensor) -> None:
        """Keep these rows, in this order. A row may occur several times."""
        assert self.keys is not None and self.values is not None
        for name in ("keys", "values"):
            used = getattr(self, name)[:, :, : self.length]
            fresh = used.new_empty(len(rows), used.shape[1], self.capacity, used.shape[3])
            torch.index_select(used, 0, rows, out=fresh[:, :, : self.length])
            setattr(self, name, fresh)


def _buffer(states: torch.Tensor, capacity: int) -> torch.Tensor:
    return states.new_empty(*states.shape[:2], capacity, states.shape[3])


@dataclass
class Batch:
    """The rows that are being decoded. All tensors have one entry per row, in the same order."""

    model: Any
    layers: list[BufferLayer]
    cache: Cache
    number: torch.Tensor
    """[rows] Index of the row in the call of `decode`."""
    mask: torch.Tensor
    """[rows, capacity] Whether attention reads this position of the buffers; false for the padding before a prompt."""
    positions: torch.Tensor
    """[rows, 1] Position of the last token that the model read."""
    logits: torch.Tensor
    """[rows, vocabulary] Of the next token."""
    present: torch.Tensor
    """[rows, vocabulary] Whether the row has generated the token, for the presence penalty."""
    ended: torch.Tensor
    """[rows] Whether the row has generated a stop id."""

    def take(self, rows: torch.Tensor) -> None:
        """Continue with the rows at these indices, in this order. A row may occur several times."""
        for layer in self.layers:
            layer.take(rows)
        for name in ("number", "mask", "positions", "logits", "present", "ended"):
            setattr(self, name, getattr(self, name)[rows])

    def read(self, tokens: torch.Tensor) -> None:
        """Let the model read one token per row."""
        self.positions = self.positions + 1
        mask = self.mask[:, None, None, : self.layers[0].length + 1]
        self.logits = _forward(self.model, tokens[:, None], mask, self.positions, self.cache)


def prefill(model: Any, prompts: Sequence[Sequence[int]], max_tokens: int) -> Batch:
    """The batch after the model has read every prompt, one row per prompt. Raises GenerationError if logits are NaN."""
    ids, mask = left_padded(prompts)
    layers = [BufferLayer(ids.shape[1] + max_tokens) for _ in range(model.config.num_hidden_layers)]
    cache = Cache(layers=[*layers])
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    logits = _forward(model, ids, mask, positions, cache)
    if logits.isnan().any():
        raise GenerationError(
            f"the logits of {model.name_or_path} are NaN, so its training has diverged: look at its log.jsonl"
        )
    return Batch(
        model=model,
        layers=layers,
        cache=cache,
        number=torch.arange(len(prompts)),
        mask=torch.cat([mask.bool(), torch.ones(len(prompts), max_tokens, dtype=torch.bool)], dim=1),
        positions=positions[:, -1:],
        logits=logits,
        present=torch.zeros_like(logits, dtype=torch.bool),
        ended=torch.zeros(len(prompts), dtype=torch.bool),
    )


@torch.inference_mode()
def decode(
    model: Any,
    prompts: Sequence[Sequence[int]],
    rows: Sequence[int],
    seeds: Sequence[int],
    sampling: Sampling,
    stops: Collection[int],
) -> list[list[int]]:
    """Token ids that are generated for each row: at most `max_tokens`, ending with the first stop id if there is one.

    `rows[i]` is the index of the prompt that row i continues, `seeds[i]` the seed of its random numbers.
    """
    batch = prefill(model, prompts, sampling.max_tokens)
    if list(rows) != list(range(len(prompts))):
        batch.take(torch.tensor(rows))
        batch.number = torch.arange(len(rows))
    uniforms = streams(seeds, sampling)
    stop = torch.tensor(sorted(stops))
    out = torch.zeros(len(rows), sampling.max_tokens, dtype=torch.long)
    lengths = torch.full((len(rows),), sampling.max_tokens)
    for step in range(sampling.max_tokens):
        tokens = draw(batch.logits - sampling.presence_penalty * batch.present, uniforms[batch.number, step], sampling)
        out[batch.number, step] = tokens
        batch.present.scatter_(1, tokens[:, None], True)
        ending = torch.isin(tokens, stop) & ~batch.ended
        lengths[batch.number[ending]] = step + 1
        batch.ended |= ending
        if batch.ended.all() or step + 1 == sampling.max_tokens:
            break
        if batch.ended.float().mean() >= DROP_SHARE:
            unfinished = (~batch.ended).nonzero().flatten()
            batch.take(unfinished)
            tokens = tokens[unfinished]
        batch.read(tokens)
    return [out[row, : lengths[row]].tolist() for row in range(len(rows))]


def _forward(model: Any, ids: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor, cache: Cache) -> torch.Tensor:
    """Logits [rows, vocabulary] of the next token, in float32."""
    output = model(
        input_ids=ids,
        attention_mask=mask,
        position_ids=positions,
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    )
    return output.logits[:, -1].float()


def left_padded(prompts: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask, both [prompts, longest prompt], padded on the left."""
    width = max(len(prompt) for prompt in prompts)
    ids = torch.zeros(len(prompts), width, dtype=torch.long)
    mask = torch.zeros(len(prompts), width, dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt)
        mask[row, width - len(prompt) :] = 1
    return ids, mask


def streams(seeds: Sequence[int], sampling: Sampling) -> torch.Tensor:
    """Uniform numbers in [0, 1), [rows, max_tokens]; row i has its own generator (Philox, keyed by its seed)."""
    if sampling.temperature == 0:
        return torch.zeros(len(seeds), sampling.max_tokens, dtype=torch.float64)
    drawn = [np.random.Generator(np.random.Philox(key=seed)).random(sampling.max_tokens) for seed in seeds]
    return torch.from_numpy(np.stack(drawn))


def draw(logits: torch.Tensor, uniforms: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """One token id per row from logits [rows, vocabulary]: greedy, or by inversion of the filtered distribution.

    Temperature is applied first, then top-k, then top-p to what top-k keeps (the order of transformers and vLLM). Top-p
    keeps the smallest set of most likely tokens whose probability reaches it.
    """
    if sampling.temperature == 0:
        return logits.argmax(-1)
    scores = logits.double() / sampling.temperature
    order = None
    if sampling.top_k or sampling.top_p < 1:
        kept = min(sampling.top_k, logits.shape[-1]) or logits.shape[-1]
        scores, order = scores.topk(kept, dim=-1)  # sorted, most likely first
    mass = scores.softmax(-1)
    cumulative = mass.cumsum(-1)
    if sampling.top_p < 1:
        mass = mass * (cumulative - mass < sampling.top_p)
        cumulative = mass.cumsum(-1)
    target = uniforms[:, None] * cumulative[:, -1:]
    place = torch.searchsorted(cumulative, target, right=True).clamp(max=mass.shape[-1] - 1)
    return (place if order is None else order.gather(-1, place)).squeeze(-1)
