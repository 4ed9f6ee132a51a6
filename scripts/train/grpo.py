"""Reinforce a model with GRPO (arXiv 2402.03300) on prompts whose answers the verifiers check.

    python -m scripts.train.grpo --recipe JSON --dataset DATASET/manifest.json --init MODEL/manifest.json \
        --out MODEL/manifest.json

For each prompt q the policy p samples a group of G completions o_1 ... o_G (`group_size`). Completion i has the reward
r_i: 1 if it is verified correct, 0 if it is wrong, none if nothing could verify it (`rewards.py`). TRL's GRPOTrainer
computes the rest; names in backquotes are settings (`settings/grpo.py`) unless they are methods of TRL 1.16.

Advantage (`_generate_and_score_completions`), the same for all tokens of a completion:

    A_i = (r_i - mean of the group's rewards) / (s + 1e-4)      s: sample standard deviation of the group's rewards
                                                                (`scale_rewards: group`) or of the step's (`batch`)
    A_i = r_i - mean of the group's rewards                     `scale_rewards: none` (Dr. GRPO, arXiv 2503.20783)
    A_i = 0                                                     without a reward; such completions are in no mean and
                                                                in no deviation

Loss of token t of completion i (`_compute_loss`), with log p at the rollout's temperature:

    ratio  = p(o_it | q, o_i<t) / p_old(o_it | q, o_i<t)        p_old: the policy that sampled, as the trainer scores it
    clip   = ratio limited to [1 - `epsilon`, 1 + `epsilon_high`]
    kl     = x - log x - 1, x = p_init(o_it) / p(o_it)          unbiased for KL(p || p_init), never negative
    loss   = -min(ratio A_i, clip A_i) w_it + `beta` kl         `beta: 0` loads no reference model

Each step samples once and updates once, so ratio is 1 (up to rounding under vLLM), nothing is clipped, and the gradient
is the policy gradient A_i grad log p(o_it). The settings of clipping matter only if that changes.

Correction w_it of what differs between the engine that samples and the trainer (arXiv 2510.18855, TRL's
`vllm_importance_sampling_*`): p_old / p_engine of the token (`importance_correction: token_*`) or of the whole
completion (`sequence_*`), cut at `importance_cap` (`*_truncate`) or set to 0 above it (`*_mask`). It is 1 with
`importance_correction: none` and with the engine `transformers`, where the policy itself samples.

Mean over tokens (`loss`), without completions cut at the length limit if `mask_truncated`:

    dapo      sum over the step's tokens / number of the step's tokens (arXiv 2503.14476)
    bnpo      the same for each micro batch and process, then their mean
    grpo      mean over the tokens of each completion, then over completions
    dr_grpo   sum over tokens / (completions x `max_completion_tokens`)
"""

from __future__ import annotations

from scripts.train import start  # the first import, for the reason given there

# isort: split
import os
from collections.abc import Sequence
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor
from torch.nn.functional import pad
from transformers import TrainerState
from trl import GRPOConfig, GRPOTrainer

from scripts.common import records
from scripts.common.step import Run, step
from scripts.train import advantages
from scripts.train.padding import used
from scripts.train.policy import (
    check_prompts,
    check_rollout,
    policy_tokenizer,
    recipe_sampling,
    rollout_arguments,
)
from scripts.train.rewards import VERDICTS, VerifierReward
from scripts.train.rows import DataError, prompt_set
from scripts.train.settings.grpo import Grpo, GrpoStep
from scripts.train.trainer import fit, model_of, training_arguments
from scripts.verify import VerifierPool


class PolicyTrainer(GRPOTrainer):
    """GRPOTrainer that samples by the recipe alone, and reads no more padding than its micro batches need."""

    def _generate_single_turn(self, *arguments: Any, **options: Any) -> Any:
        with recipe_sampling(model_of(self)):
            return super()._generate_single_turn(*arguments, **options)

    def _get_per_token_logps_and_entropies(
        self,
        model: torch.nn.Module,
        input_ids: Tensor,
        attention_mask: Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        **options: Any,
    ) -> tuple[Tensor, Tensor | None, None]:
        """log p and entropy of the last `logits_to_keep` tokens: (B, logits_to_keep), 0 where they are masked."""
        size, prompt = batch_size or len(input_ids), input_ids.size(1) - logits_to_keep
        parts = []
        for ids, mask in zip(input_ids.split(size), attention_mask.split(size), strict=True):
            start, end = used(mask[:, :prompt]).start, prompt + used(mask[:, prompt:]).stop
            scored = super()._get_per_token_logps_and_entropies(
                model, ids[:, start:end], mask[:, start:end], end - prompt, **options
            )
            parts.append([None if part is None else pad(part, (0, ids.size(1) - end)) for part in scored[:2]])
        logps, entropies = zip(*parts, strict=True)
        return torch.cat(logps), torch.cat(entropies) if options.get("compute_entropy") else None, None


def reinforce(run: Run[GrpoStep]) -> None:
    """Train `init` on the prompts of `dataset` and write the checkpoint into `run.out`."""
    settings, init, thinking = run.settings.training, run.input("init").folder, run.settings.thinking
    tokenizer = policy_tokenizer(init)
    check_rollout(init, settings.rollout)
    rows = records.iterate(run.input("dataset").folder / records.RECORDS)
    prompts = prompt_set(rows, tokenizer, thinking, settings.rollout.max_prompt_tokens, run.counts)
    check_answers(prompts)
    check_prompts(prompts, settings.batch_size // settings.group_size, settings)
    advantages.make_portable()
    with VerifierPool(verifier_processes(), run.settings.verify) as pool:
        trainer = PolicyTrainer(
            model=str(init),
            reward_funcs=[VerifierReward(pool)],
            args=training_arguments(
                GRPOConfig,
                settings,
                run,
                **rollout_arguments(settings, thinking, run.name),
                **objective_arguments(settings),
            ),
            train_dataset=Dataset.from_list(prompts),
            processing_class=tokenizer,
        )
        fit(trainer, run)
    run.counts |= rollout_counts(trainer.state, settings)


def objective_arguments(settings: Grpo) -> dict[str, Any]:
    """GRPOConfig's arguments of the objective."""
    return {
        "num_generations": settings.group_size,
        "loss_type": settings.loss,
        "scale_rewards": settings.scale_rewards,
        "epsilon": settings.epsilon,
        "epsilon_high": settings.epsilon_high,
        "beta": settings.beta,
        "mask_truncated_completions": settings.mask_truncated,
        **correction_arguments(settings),
    }


def correction_arguments(settings: Grpo) -> dict[str, Any]:
    """GRPOConfig's arguments of the importance sampling between the engine that samples and the policy."""
    if settings.importance_correction == "none" or settings.rollout.engine == "transformers":
        return {"vllm_importance_sampling_correction": False}
    return {
        "vllm_importance_sampling_correction": True,
        "vllm_importance_sampling_mode": settings.importance_correction,
        "vllm_importance_sampling_clip_max": settings.importance_cap,
    }


def check_answers(prompts: Sequence[dict[str, Any]]) -> None:
    """Raise DataError if a prompt has no answer to verify: its group would have no reward."""
    bare = [row["id"] for row in prompts if row["answer"]["kind"] == "none"]
    if bare:
        raise DataError(
            f"{len(bare)} of {len(prompts)} prompts have an answer of kind `none`, which nothing verifies "
            f"(first: {bare[0]}): build the data set from a graded set or a pool of verifiable sources"
        )


def rollout_counts(state: TrainerState, settings: Grpo) -> dict[str, Any]:
    """Completions of the whole training by verdict, those cut at the length limit, and groups of equal rewards."""
    groups, history = settings.batch_size // settings.group_size, state.log_history
    counts: dict[str, Any] = {
        "verdicts": {name: total(history, f"verdicts/{name}", settings.batch_size) for name in VERDICTS},
        "overlong": total(history, "completions/clipped_ratio", settings.batch_size),
    }
    if settings.scale_rewards != "batch":  # with `batch`, TRL logs whether the rewards of the whole batch are equal
        equal = total(history, "frac_reward_zero_std", groups)
        counts["groups"] = {"all": groups * state.global_step, "degenerate": equal}
    return counts


def total(history: Sequence[dict[str, Any]], share: str, size: int) -> int:
    """A number over the whole training, from a log that holds each step's share of `size` completions or groups."""
    return round(sum(entry.get(share, 0.0) for entry in history) * size)


def verifier_processes() -> int:
    """Verifier processes beside this process: the CPUs it may use, shared with the machine's other ranks."""
    return max(1, len(os.sched_getaffinity(0)) // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def main() -> None:
    """Run the step from the command line."""
    start.ready()
    with step(__spec__, inputs=("dataset", "init"), settings=GrpoStep) as run:
        reinforce(run)


if __name__ == "__main__":
    main()
