"""Batched decoding of a causal language model on a CPU, faster than `generate` where completions end early.

What makes the difference at a million parameters: keys and values lie in buffers made once (appending by
concatenation copies all of them at every token), a prompt is run once however many samples are drawn
from it, and rows that have ended leave the batch. Each sample draws from a stream of its own, so what it
says does not depend on the rows beside it (up to the rounding of a matrix product of another shape).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import torch
from transformers.cache_utils import Cache, DynamicLayer

from scripts.common.settings import Sampling

DROP_SHARE = 0.125
"""Ended rows leave the batch when they are this share of it: leaving costs a copy of the buffers."""


class BufferLayer(DynamicLayer):
    """Keys and values of one layer, [rows, heads, capacity, head_dim], written in place."""

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self.capacity = capacity
        self.length = 0

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        self.dtype, self.device = key_states.dtype, key_states.device
        self.keys = _room(key_states, self.capacity)
        self.values = _room(value_states, self.capacity)
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
        """Keep the rows given, in that order; a row may be taken several times."""
        assert self.keys is not None and self.values is not None
        for name in ("keys", "values"):
            used = getattr(self, name)[:, :, : self.length]
            fresh = used.new_empty(len(rows), used.shape[1], self.capacity, used.shape[3])
            torch.index_select(used, 0, rows, out=fresh[:, :, : self.length])
            setattr(self, name, fresh)


def _room(states: torch.Tensor, capacity: int) -> torch.Tensor:
    return states.new_empty(*states.shape[:2], capacity, states.shape[3])


@torch.inference_mode()
def decode(
    model: Any,
    prompts: Sequence[Sequence[int]],
    rows: Sequence[int],
    seeds: Sequence[int],
    sampling: Sampling,
    stops: Collection[int],
) -> list[list[int]]:
    """Token ids generated for each row, up to and with its first stop id or `max_tokens`.

    `rows[i]` is the index of the prompt that row i continues, `seeds[i]` the seed of its stream.
    """
    ids, mask = left_padded(prompts)
    layers = [BufferLayer(ids.shape[1] + sampling.max_tokens) for _ in range(model.config.num_hidden_layers)]
    cache = Cache(layers=[*layers])
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    logits = _forward(model, ids, mask, positions, cache)

    alive = torch.arange(len(rows))
    source = torch.tensor(rows)
    logits, positions, mask = logits[source], positions[source, -1:], mask[source]
    if not torch.equal(source, torch.arange(len(prompts))):
        _take(layers, source)
    mask = torch.cat([mask.bool(), torch.ones(len(rows), sampling.max_tokens, dtype=torch.bool)], dim=1)
    uniforms = streams(seeds, sampling)
    stop = torch.tensor(sorted(stops))
    out = torch.zeros(len(rows), sampling.max_tokens, dtype=torch.long)
    lengths = torch.full((len(rows),), sampling.max_tokens)
    ended = torch.zeros(len(rows), dtype=torch.bool)  # of the rows still in the batch

    said = torch.zeros_like(logits, dtype=torch.bool)  # tokens that each row has, for the presence penalty

    for step in range(sampling.max_tokens):
        tokens = draw(logits - sampling.presence_penalty * said, uniforms[alive, step], sampling)
        out[alive, step] = tokens
        said.scatter_(1, tokens[:, None], True)
        stopping = torch.isin(tokens, stop) & ~ended
        lengths[alive[stopping]] = step + 1
        ended |= stopping
        if ended.all() or step + 1 == sampling.max_tokens:
            break
        if ended.float().mean() >= DROP_SHARE:
            keep = (~ended).nonzero().flatten()
            _take(layers, keep)
            alive, tokens, positions, mask, said, ended = (
                item[keep] for item in (alive, tokens, positions, mask, said, ended)
            )
        positions = positions + 1
        seen = mask[:, None, None, : layers[0].length + 1]
        logits = _forward(model, tokens[:, None], seen, positions, cache)
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


def _take(layers: Sequence[BufferLayer], rows: torch.Tensor) -> None:
    for layer in layers:
        layer.take(rows)


def left_padded(prompts: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask, [prompts, longest], each prompt at the right end."""
    width = max(len(prompt) for prompt in prompts)
    ids = torch.zeros(len(prompts), width, dtype=torch.long)
    mask = torch.zeros(len(prompts), width, dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt)
        mask[row, width - len(prompt) :] = 1
    return ids, mask


def streams(seeds: Sequence[int], sampling: Sampling) -> torch.Tensor:
    """Uniform numbers in [0, 1), [rows, max_tokens], row i from its own generator (Philox keyed by its seed)."""
    if sampling.temperature == 0:
        return torch.zeros(len(seeds), sampling.max_tokens, dtype=torch.float64)
    drawn = [np.random.Generator(np.random.Philox(key=seed)).random(sampling.max_tokens) for seed in seeds]
    return torch.from_numpy(np.stack(drawn))


def draw(logits: torch.Tensor, uniforms: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """One token id a row from logits [rows, vocabulary]: greedy, or by inversion of the filtered distribution.

    Temperature first, then top-k, then top-p over what top-k left (the order of transformers and vLLM);
    top-p keeps the smallest set of likeliest tokens whose mass reaches it.
    """
    if sampling.temperature == 0:
        return logits.argmax(-1)
    scores = logits.double() / sampling.temperature
    order = None
    if sampling.top_k or sampling.top_p < 1:
        kept = min(sampling.top_k, logits.shape[-1]) or logits.shape[-1]
        scores, order = scores.topk(kept, dim=-1)  # sorted, likeliest first
    mass = scores.softmax(-1)
    cumulative = mass.cumsum(-1)
    if sampling.top_p < 1:
        mass = mass * (cumulative - mass < sampling.top_p)
        cumulative = mass.cumsum(-1)
    target = uniforms[:, None] * cumulative[:, -1:]
    place = torch.searchsorted(cumulative, target, right=True).clamp(max=mass.shape[-1] - 1)
    return (place if order is None else order.gather(-1, place)).squeeze(-1)
