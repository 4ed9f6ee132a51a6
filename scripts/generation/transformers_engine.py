"""The `transformers` engine: decodes a checkpoint on a CPU, in large batches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers.models.auto.modeling_auto import AutoModelForCausalLM
from transformers.utils.logging import disable_progress_bar

from scripts.common import products
from scripts.common.settings import Engine, Sampling
from scripts.generation.decode import decode
from scripts.generation.prompts import (
    Completion,
    GenerationError,
    Prompt,
    chat_tokenizer,
    completion,
    sample_seed,
    stop_ids,
)


class TransformersEngine:
    """Deterministic for a seed, and byte-identical on a rerun with the same number of threads."""

    def __init__(self, folder: Path, settings: Engine) -> None:
        products.use_openblas()
        self.batch_size = settings.batch_size
        self.tokenizer = chat_tokenizer(folder)
        self.stops = stop_ids(folder, self.tokenizer)
        disable_progress_bar()  # loading takes a second, and the bar would be in every log
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, settings.dtype)).eval()
        self.context: int = self.model.config.max_position_embeddings
        kinds = set(getattr(self.model.config, "layer_types", None) or ["full_attention"])
        if kinds != {"full_attention"}:
            raise GenerationError(f"{folder} has {sorted(kinds)} layers; this engine decodes full attention: use vllm")

    def complete(
        self, prompts: Sequence[Prompt], sampling: Sampling, samples: int, seed: int
    ) -> list[list[Completion]]:
        """`samples` completions per prompt. Batches follow the order of the prompts: sort them by length before."""
        rows = [(place, sample) for place in range(len(prompts)) for sample in range(samples)]
        completions: list[list[Completion]] = [[] for _ in prompts]
        for start in range(0, len(rows), self.batch_size):
            batch = rows[start : start + self.batch_size]
            places = sorted({place for place, _ in batch})
            generated = decode(
                self.model,
                [prompts[place].tokens for place in places],
                [places.index(place) for place, _ in batch],
                [sample_seed(seed, prompts[place].key, sample) for place, sample in batch],
                sampling,
                self.stops,
            )
            for (place, _), ids in zip(batch, generated, strict=True):
                completions[place].append(completion(self.tokenizer, ids, self.stops))
        return completions
