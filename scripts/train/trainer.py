"""What all trainings share: arguments, progress, checkpoints to resume from, and the checkpoint that is the artifact.

A run killed at any moment and started again ends with the same weights, bit for bit (same number of processes): data
order, optimizer, schedule and random state come from the last complete checkpoint under `run.work`.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from transformers import (
    AutoConfig,
    PreTrainedModel,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.trainer_utils import TrainOutput

from scripts.common.artifacts import CARD
from scripts.common.step import Run
from scripts.train import tracking
from scripts.train.card import card
from scripts.train.checkpoints import MarkComplete, checkpoints, last_checkpoint
from scripts.train.interruption import Interruption
from scripts.train.progress import Progress
from scripts.train.resume_sampler import ResumeSampler
from scripts.train.settings.base import Optimizer
from scripts.train.speed import Meter, flops_per_token

A = TypeVar("A", bound=TrainingArguments)
UNLOGGED = frozenset({"step_time", "num_tokens", "total_flos"})
"""Times, and counters that start anew in a resumed run: no content of a model."""
SUMMARY = "train_runtime"
"""Marks Trainer's last log entry, which holds times alone."""


class TrainingError(RuntimeError):
    """Training cannot go on or would be worthless: the message says at which step, why, and what to change."""


def weights(settings: Optimizer) -> dict[str, str]:
    """How TRL loads a model that is trained: float32 weights, whatever precision the steps compute in."""
    return {"dtype": "float32", "attn_implementation": settings.attention}


def frozen_weights(settings: Optimizer) -> dict[str, str]:
    """How TRL loads a teacher: in the precision that the steps compute in."""
    return weights(settings) | {"dtype": "bfloat16" if settings.bf16 else "float32"}


def training_arguments(kind: type[A], settings: Optimizer, run: Run[Any], **own: Any) -> A:
    """Trainer arguments from settings; `own` are those of the trainer's kind. The device is the machine's."""
    gpu = torch.cuda.is_available()
    kwargs = {"min_lr_rate": settings.min_lr_ratio} if settings.min_lr_ratio is not None else None
    return kind(
        output_dir=str(checkpoints(run.work)),
        seed=run.seed,
        data_seed=run.seed,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.schedule,
        lr_scheduler_kwargs=kwargs,
        warmup_steps=settings.warmup_ratio,  # below 1: a share of all steps
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        adam_beta2=settings.adam_beta2,
        max_steps=settings.max_steps or -1,
        num_train_epochs=settings.epochs or 1.0,
        per_device_train_batch_size=settings.micro_batch_size,
        gradient_accumulation_steps=accumulation(settings),
        bf16=settings.bf16,
        gradient_checkpointing=settings.gradient_checkpointing,
        save_steps=settings.save_steps,
        save_total_limit=2,  # the last is complete whenever a process is killed; three exist while one is written
        logging_steps=1,
        logging_nan_inf_filter=False,
        report_to="none",  # `fit` adds the trackers, behind the meter
        disable_tqdm=True,
        use_cpu=not gpu,
        dataloader_pin_memory=gpu,
        project=tracking.PROJECT,
        run_name=tracking.run_name(),
        **own,
    )


def accumulation(settings: Optimizer) -> int:
    """Micro batches a step and process, so that the step's size does not depend on the number of devices."""
    processes = int(os.environ.get("WORLD_SIZE", "1"))  # as the launcher (accelerate, torchrun) sets it
    a_pass = settings.micro_batch_size * processes
    if settings.batch_size % a_pass:
        raise TrainingError(
            f"batch_size {settings.batch_size} is not a multiple of micro_batch_size {settings.micro_batch_size} "
            f"times {processes} processes: change micro_batch_size or the number of GPUs"
        )
    return settings.batch_size // a_pass


def fit(trainer: Trainer, run: Run[Any], lengths: Sequence[int] | None = None) -> None:
    """Train to the end, from the last complete checkpoint if there is one, and write the model into `run.out`.

    `lengths` are the tokens of each sequence, for the utilisation (MFU) in the report; None if steps contain rollouts.
    """
    model = model_of(trainer)
    meter = Meter(None if lengths is None else flops_per_token(model.config, parameters(model), lengths))
    trainer.remove_callback(PrinterCallback)
    for callback in (
        meter,
        *tracking.trackers(),
        ResumeSampler(),
        FiniteNumbers(),
        MarkComplete(),
        Progress(run.work),
        Interruption(),
    ):
        trainer.add_callback(callback)
    start = last_checkpoint(run.work)
    if start is not None:
        print(f"resuming from {start}", file=sys.stderr, flush=True)
    result = train(trainer, start)
    trainer.accelerator.wait_for_everyone()  # the others still list their checkpoints, which the first clears away
    history = [entry for entry in trainer.state.log_history if SUMMARY not in entry]
    run.counts |= {"steps": trainer.state.global_step, "parameters": parameters(model)}
    run.notes |= meter.notes() | {
        "train_seconds": round(result.metrics[SUMMARY], 3),
        "cpu_seconds": round(time.process_time(), 3),  # of the whole process: start, data and training
        "steps_per_second": round(result.metrics["train_steps_per_second"], 3),
        "processes": trainer.args.world_size,
        "resumed_at": int(start.name.rpartition("-")[2]) if start else None,
    }
    save(trainer, run.out, history)
    (run.out / CARD).write_text(card(run, history))


def train(trainer: Trainer, start: Path | None) -> TrainOutput:
    """Trainer's training. Raises TrainingError where a device's memory is full."""
    try:
        return trainer.train(resume_from_checkpoint=str(start) if start else None)
    except torch.OutOfMemoryError as error:
        args = trainer.args
        raise TrainingError(
            f"step {trainer.state.global_step + 1}: the GPU's memory is full ({error}). Lower micro_batch_size (now "
            f"{args.per_device_train_batch_size}), the lengths (max_length, rollout.max_completion_tokens) or "
            f"rollout.gpu_memory; set gradient_checkpointing (now {args.gradient_checkpointing}); or shard "
            "over more GPUs (resources: gpus, deepspeed)"
        ) from error


def model_of(trainer: Trainer) -> PreTrainedModel:
    """The model that is trained, without what accelerate wraps around it."""
    return cast(PreTrainedModel, trainer.accelerator.unwrap_model(trainer.model))


def parameters(model: PreTrainedModel) -> int:
    """Number of parameters, those that ZeRO-3 keeps in other processes included."""
    return sum(getattr(weight, "ds_numel", weight.numel()) for weight in model.parameters())


def save(trainer: Trainer, folder: Path, history: list[dict[str, Any]]) -> None:
    """Checkpoint, tokenizer, chat template and log; nothing that holds times or paths of the run."""
    model = model_of(trainer)
    model.config.use_cache = True  # Trainer turns it off, and a checkpoint without it generates slowly
    if trainer.args.bf16:
        cast(torch.nn.Module, model).to(torch.bfloat16)
    trainer.save_model(str(folder))
    (folder / "training_args.bin").unlink(missing_ok=True)
    with (folder / "log.jsonl").open("w") as log:
        for entry in history:
            kept = sorted(entry.keys() - UNLOGGED - {"step"})  # a resumed run's history comes back in another order
            log.write(json.dumps({"step": entry["step"], **{key: entry[key] for key in kept}}) + "\n")


class FiniteNumbers(TrainerCallback):
    """Raises TrainingError at the first step whose loss or gradient norm is not finite."""

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        for name in ("loss", "grad_norm"):
            value = (logs or {}).get(name, 0.0)
            if not math.isfinite(value):
                raise TrainingError(
                    f"step {state.global_step}: {name} is {value}. Lower learning_rate (now "
                    f"{args.learning_rate:g}) or max_grad_norm (now {args.max_grad_norm:g}), or look for broken rows"
                )


def check_context(folder: Path, needed: int, settings: str) -> None:
    """Raise TrainingError where sequences of `needed` tokens, possible by `settings`, exceed the model's positions."""
    positions = AutoConfig.from_pretrained(folder).max_position_embeddings
    if needed > positions:
        raise TrainingError(
            f"by {settings} a sequence may have {needed} tokens, but the model in {folder} has {positions} positions "
            f"(max_position_embeddings): lower {settings}"
        )
