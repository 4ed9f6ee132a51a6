"""The `vllm` engine: a checkpoint served offline by vLLM on all GPUs of the job.

Written for vLLM 0.31 (`LLM`, `SamplingParams`, `TokensPrompt`). The tokenizer and the end-of-turn ids are
the ones of the `transformers` engine, and completions are cut from token ids here, so both engines
return the same text for the same tokens. vLLM batches as requests come, so sampled text repeats only as
far as its kernels are batch-invariant; seeds are per prompt all the same.
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
    """One `LLM`, split over the GPUs that the job sees (their number is execution, not identity)."""

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
            generation_config="vllm",  # sampling comes from the settings alone, never from the checkpoint
        )
        self.context: int = self.model.model_config.max_model_len

    def complete(
        self, prompts: Sequence[Prompt], sampling: Sampling, samples: int, seed: int
    ) -> list[list[Completion]]:
        """`samples` completions of each prompt, all requests in flight together."""
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
            seed=seed,  # sample i of the request draws from seed + i
            stop_token_ids=sorted(self.stops),
            detokenize=False,
        )


def _index(output: Any) -> int:
    return output.index
