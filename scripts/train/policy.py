"""What the trainings that sample share: a policy that can stop, and enough prompts for a step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import GenerationConfig, PreTrainedTokenizerBase

from scripts.common.chat.rendering import load_tokenizer
from scripts.train.rows import DataError
from scripts.train.settings import Grpo, Opd, Rollout
from scripts.train.tokenizer import TURN_END
from scripts.train.trainer import TrainingError, check_context


def policy_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a chat model. Raises TrainingError for a base, whose completions would never end."""
    tokenizer = load_tokenizer(folder)
    stops = GenerationConfig.from_pretrained(folder).eos_token_id
    stops = {tokenizer.eos_token_id, *(stops if isinstance(stops, list) else [stops])}
    if tokenizer.convert_tokens_to_ids(TURN_END) not in stops or tokenizer.chat_template is None:
        raise TrainingError(
            f"{folder} is no chat model: it does not stop at {TURN_END}. Fine-tune it first (kind: sft)"
        )
    return tokenizer


def check_rollout(folder: Path, rollout: Rollout) -> None:
    """Raise TrainingError where a prompt and its completion can exceed the positions of the model in `folder`."""
    needed = rollout.max_prompt_tokens + rollout.max_completion_tokens
    check_context(folder, needed, "rollout.max_prompt_tokens + rollout.max_completion_tokens")


def check_prompts(prompts: Sequence[dict[str, Any]], needed: int, settings: Grpo | Opd) -> None:
    """Raise DataError where not even one step can be filled: the trainers' sampler leaves incomplete batches out."""
    if len(prompts) < needed:
        raise DataError(
            f"{len(prompts)} prompts are fewer than the {needed} of one step (batch_size {settings.batch_size}): "
            "lower batch_size or take more prompts"
        )
