"""Reinforce a model with GRPO (arXiv 2402.03300) on prompts whose answers the verifiers check.

    python -m scripts.train.grpo --recipe JSON --dataset DATASET/manifest.json --init MODEL/manifest.json \
        --out MODEL/manifest.json
"""

from __future__ import annotations

from scripts.train import start  # first of all imports: see there

# isort: split
import os
from collections.abc import Sequence
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor
from torch.nn.functional import pad
from trl import GRPOConfig, GRPOTrainer

from scripts.common import records
from scripts.common.step import Run, step
from scripts.train.padding import used
from scripts.train.policy import check_prompts, check_rollout, policy_tokenizer, rollout_arguments
from scripts.train.rewards import VERDICTS, VerifierReward
from scripts.train.rows import DataError, prompt_set
from scripts.train.settings.grpo import Grpo, GrpoStep
from scripts.train.trainer import fit, training_arguments
from scripts.verify import VerifierPool


class CompactTrainer(GRPOTrainer):
    """GRPOTrainer that reads no more padding than its micro batches need."""

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
        found = []
        for ids, mask in zip(input_ids.split(size), attention_mask.split(size), strict=True):
            start, end = used(mask[:, :prompt]).start, prompt + used(mask[:, prompt:]).stop
            scored = super()._get_per_token_logps_and_entropies(
                model, ids[:, start:end], mask[:, start:end], end - prompt, **options
            )
            found.append([None if part is None else pad(part, (0, ids.size(1) - end)) for part in scored[:2]])
        logps, entropies = zip(*found, strict=True)
        return torch.cat(logps), torch.cat(entropies) if options.get("compute_entropy") else None, None


def reinforce(run: Run[GrpoStep]) -> None:
    """Train `init` on the prompts of `dataset` and write the checkpoint into `run.out`."""
    settings, init = run.settings.training, run.input("init").folder
    tokenizer = policy_tokenizer(init)
    check_rollout(init, settings.rollout)
    found = records.iterate(run.input("dataset").folder / records.KEPT)
    prompts = prompt_set(found, tokenizer, run.settings.thinking, settings.rollout.max_prompt_tokens, run.counts)
    check_answers(prompts)
    groups = settings.batch_size // settings.group_size
    check_prompts(prompts, groups, settings)
    with VerifierPool(workers(), run.settings.verify) as pool:
        trainer = CompactTrainer(
            model=str(init),
            reward_funcs=[VerifierReward(pool)],
            args=training_arguments(
                GRPOConfig,
                settings,
                run,
                **rollout_arguments(settings, run.settings.thinking, run.name),
                **objective_arguments(settings),
            ),
            train_dataset=Dataset.from_list(prompts),
            processing_class=tokenizer,
        )
        fit(trainer, run)
    history = trainer.state.log_history
    run.counts["verdicts"] = {name: total(history, f"verdicts/{name}", settings.batch_size) for name in VERDICTS}
    run.counts["overlong"] = total(history, "completions/clipped_ratio", settings.batch_size)
    if settings.scale_rewards != "batch":  # there TRL logs whether the whole batch is of one reward
        degenerate = total(history, "frac_reward_zero_std", groups)
        run.counts["groups"] = {"all": groups * trainer.state.global_step, "degenerate": degenerate}


def objective_arguments(settings: Grpo) -> dict[str, Any]:
    """GRPOConfig's arguments of the objective; each batch of completions gives one update."""
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
    """Raise DataError where a prompt has no answer that a verifier checks: its group could never learn."""
    bare = [row["id"] for row in prompts if row["answer"]["kind"] == "none"]
    if bare:
        raise DataError(
            f"{len(bare)} of {len(prompts)} prompts have an answer of kind `none`, which nothing verifies "
            f"(first: {bare[0]}): build the data set from a graded set or a pool of verifiable sources"
        )


def total(history: Sequence[dict[str, Any]], share: str, of: int) -> int:
    """How many completions (or groups) of the whole training; the log holds shares of the `of` that a step has."""
    return round(sum(entry.get(share, 0.0) for entry in history) * of)


def workers() -> int:
    """Verifier processes of this process: the CPUs it may use, shared with the other ranks of this machine."""
    return max(1, len(os.sched_getaffinity(0)) // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def main() -> None:
    """Arguments in, checkpoint out."""
    start.ready()
    with step(__spec__, inputs=("dataset", "init"), settings=GrpoStep) as run:
        reinforce(run)


if __name__ == "__main__":
    main()
