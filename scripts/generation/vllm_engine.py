"""The `vllm` engine: vLLM runs a checkpoint in this process, on all GPUs of the job.

Written for vLLM 0.31 (`LLM`, `SamplingParams`, `TokensPrompt`). Tokenizer and end-of-turn ids are those of the
`transformers` engine, and vLLM returns token ids, so both engines return the same text for the same tokens. vLLM forms
batches as requests arrive: with the same seeds, sampled text is the same again only if its kernels are batch-invariant.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripts.common.settings import Engine, Sampling
from scripts.generation.prompts import (
    Completion,
    Prompt,
    chat_tokenizer,
    completion,
    sample_seed,
    stop_ids,
)


class VllmEngine:
    """One `LLM`, split over the visible GPUs. Their number is execution, not identity."""

    def __init__(self, folder: Path, settings: Engine, seed: int) -> None:
        import torch
        from vllm import LLM

        self.tokenizer = chat_tokenizer(folder)
        self.stops = stop_ids(folder, self.tokenizer)
        self.model = LLM(
            model=str(folder),
            dtype=settings.dtype,
            seed=seed % 2**32,
            tensor_parallel_size=max(1, torch.cuda.device_count()),
            generation_config="vllm",  # the settings alone decide sampling, never the checkpoint
        )
        self.context: int = self.model.model_config.max_model_len

    def complete(
        self, prompts: Sequence[Prompt], sampling: Sampling, samples: int, seed: int
    ) -> list[list[Completion]]:
        """`samples` completions per prompt; vLLM gets all prompts at once."""
        from vllm.inputs import TokensPrompt

        outputs = self.model.generate(
            [TokensPrompt(prompt_token_ids=list(prompt.tokens)) for prompt in prompts],
            [self._params(sampling, samples, sample_seed(seed, prompt.key, 0)) for prompt in prompts],
            use_tqdm=False,
        )
        return [
            [completion(self.tokenizer, item.token_ids, self.stops) for item in sorted(output.outputs, key=_index)]
            for output in outputs
        ]

    def _params(self, sampling: Sampling, samples: int, seed: int) -> Any:
        from vllm import SamplingParams

        return SamplingParams(
            n=samples,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            presence_penalty=sampling.presence_penalty,
            max_tokens=sampling.max_tokens,
            seed=seed,  # vLLM draws sample i of the request with seed + i
            stop_token_ids=sorted(self.stops),
            detokenize=False,
        )


def _index(output: Any) -> int:
    return output.index
