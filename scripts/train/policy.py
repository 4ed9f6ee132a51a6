"""What the trainings on the policy's own samples share: TRL's arguments for rollouts, and checks before the first.

GRPOConfig and DistillationConfig name these arguments alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from scripts.common.chat.rendering import load_tokenizer
from scripts.generation.serving import POLICY_SERVER, Serving, from_environment
from scripts.train.rows import DataError
from scripts.train.settings.on_policy import OnPolicy, Rollout
from scripts.train.tokenizer import TURN_END
from scripts.train.trainer import TrainingError, check_context, weights


def rollout_arguments(settings: OnPolicy, thinking: bool, model: str) -> dict[str, Any]:
    """The arguments of sampling for the model of that name."""
    rollout = settings.rollout
    return {
        "model_init_kwargs": weights(settings),
        "temperature": rollout.temperature,
        "top_p": rollout.top_p,
        "max_completion_length": rollout.max_completion_tokens,
        "chat_template_kwargs": {"enable_thinking": thinking},
        **engine_arguments(rollout, model),
    }


def engine_arguments(rollout: Rollout, model: str) -> dict[str, Any]:
    """The arguments of the engine that samples; a colocated one frees the GPU's memory while the policy is trained."""
    if rollout.engine == "transformers":
        return {}
    shared = {"use_vllm": True, "vllm_mode": rollout.engine.removeprefix("vllm-")}
    if rollout.engine == "vllm-server":
        serving = from_environment()
        return shared | {
            "vllm_server_base_url": policy_server(model, serving),
            "vllm_server_timeout": 60 * serving.start_minutes,
        }
    return shared | {
        "vllm_gpu_memory_utilization": rollout.gpu_memory,
        "vllm_enable_sleep_mode": True,
        "vllm_max_model_length": rollout.max_prompt_tokens + rollout.max_completion_tokens,
    }


@contextmanager
def recipe_sampling(model: PreTrainedModel) -> Iterator[None]:
    """Keeps the checkpoint's generation_config.json out of `generate`, while it is entered.

    What TRL's own GenerationConfig leaves open (num_beams, no_repeat_ngram_size, ...), and min_p, `generate` would take
    from the file. vLLM takes from it the tokens that end a turn, and settings that TRL states in each request.
    """
    of_checkpoint = model.generation_config
    model.generation_config = GenerationConfig()
    try:
        yield
    finally:
        model.generation_config = of_checkpoint


def policy_server(model: str, serving: Serving) -> str:
    """URL of the server that samples for the model. Raises TrainingError without one, or without a GPU."""
    if not torch.cuda.is_available():
        raise TrainingError(
            "rollout.engine vllm-server sends the weights to the server by NCCL, and this machine has no GPU: "
            "set rollout.engine to transformers, or resources.train.*.gpus"
        )
    urls = serving.urls.get(model, ())
    if len(urls) != 1:
        raise TrainingError(
            f"rollout.engine vllm-server needs one server in serving.urls.{model}, not {list(urls)}: start it on other "
            f"GPUs with {POLICY_SERVER}, or set rollout.engine to vllm-colocate"
        )
    return urls[0]


def policy_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a chat model. Raises TrainingError for a base model, whose completions would never end."""
    tokenizer = load_tokenizer(folder)
    stops = GenerationConfig.from_pretrained(folder).eos_token_id
    stops = {tokenizer.eos_token_id, *(stops if isinstance(stops, list) else [stops])}
    if tokenizer.convert_tokens_to_ids(TURN_END) not in stops or tokenizer.chat_template is None:
        raise TrainingError(
            f"{folder} is not a chat model: it does not stop at {TURN_END}. Fine-tune it first (kind: sft)"
        )
    return tokenizer


def check_rollout(folder: Path, rollout: Rollout) -> None:
    """Raise TrainingError if a prompt and its completion can exceed the positions of the model in `folder`."""
    needed = rollout.max_prompt_tokens + rollout.max_completion_tokens
    check_context(folder, needed, "rollout.max_prompt_tokens + rollout.max_completion_tokens")


def check_prompts(prompts: Sequence[dict[str, Any]], needed: int, settings: OnPolicy) -> None:
    """Raise DataError if the prompts fill no step: the trainers' sampler leaves incomplete batches out."""
    if len(prompts) < needed:
        raise DataError(
            f"{len(prompts)} prompts are fewer than the {needed} of one step (batch_size {settings.batch_size}): "
            "lower batch_size or take more prompts"
        )
