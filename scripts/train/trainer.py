"""What all trainings share: TRL's arguments, the training loop, and the checkpoint that becomes the artifact.

A run that is killed at any moment and started again ends with the same weights, bit for bit, if the number of processes
is the same: data order, optimizer, schedule and random state come from the last complete checkpoint under `run.work`.
"""

from __future__ import annotations

import json
import math
import os
import stat
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

from scripts.common import products
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
"""Log values that are not written: times, and counters that a resumed run starts from zero."""
SUMMARY = "train_runtime"
"""Key of Trainer's last log entry alone, which holds only times."""


class TrainingError(RuntimeError):
    """Training cannot go on, or its result would be useless. The message says when, why, and what to change."""


def weights(settings: Optimizer) -> dict[str, str]:
    """How TRL loads the model to train: with float32 weights, also if the steps compute in bfloat16."""
    return {"dtype": "float32", "attn_implementation": settings.attention}


def frozen_weights(settings: Optimizer) -> dict[str, str]:
    """How TRL loads a teacher: with weights in the precision of the steps."""
    return weights(settings) | {"dtype": "bfloat16" if settings.bf16 else "float32"}


def training_arguments(kind: type[A], settings: Optimizer, run: Run[Any], **own: Any) -> A:
    """TRL's arguments from the settings; `own` are those that only this kind of trainer has.

    The device is a GPU if the machine has one.
    """
    gpu = torch.cuda.is_available()
    kwargs = {"min_lr_rate": settings.min_lr_ratio} if settings.min_lr_ratio is not None else None
    return kind(
        output_dir=str(checkpoints(run.work)),
        seed=run.seed,
        data_seed=run.seed,
        optim="adamw_torch_fused",  # the others take square roots by `torch.sqrt`, which depends on the CPU
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.schedule,
        lr_scheduler_kwargs=kwargs,
        warmup_steps=settings.warmup_ratio,  # a value below 1 is a share of all steps
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
        save_total_limit=2,  # while a third is written, one of the two is complete
        logging_steps=1,
        logging_nan_inf_filter=False,
        report_to="none",  # `fit` adds the trackers after the meter
        disable_tqdm=True,
        use_cpu=not gpu,
        dataloader_pin_memory=gpu,
        project=tracking.PROJECT,
        run_name=tracking.run_name(),
        **own,
    )


def accumulation(settings: Optimizer) -> int:
    """Micro batches per step and process, so that a step has `batch_size` sequences on any number of devices."""
    processes = int(os.environ.get("WORLD_SIZE", "1"))  # the launcher (torchrun) sets it
    together = settings.micro_batch_size * processes
    if settings.batch_size % together:
        raise TrainingError(
            f"batch_size {settings.batch_size} is not a multiple of micro_batch_size {settings.micro_batch_size} "
            f"times {processes} processes: change micro_batch_size or the number of GPUs"
        )
    return settings.batch_size // together


def fit(trainer: Trainer, run: Run[Any], lengths: Sequence[int] | None = None) -> None:
    """Train to the end, from the last complete checkpoint if there is one, and write the model into `run.out`.

    `lengths` are the tokens of each sequence, for the utilisation (MFU) in the report; None if steps contain rollouts.
    """
    products.use_openblas()
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
    trainer.accelerator.wait_for_everyone()  # rank 0 removes the checkpoints, which the others may still read
    history = [entry for entry in trainer.state.log_history if SUMMARY not in entry]
    run.counts |= {"steps": trainer.state.global_step, "parameters": parameters(model)}
    run.notes |= meter.notes() | {
        "train_seconds": round(result.metrics[SUMMARY], 3),
        "cpu_seconds": round(time.process_time(), 3),  # of the whole process: imports, data and training
        "steps_per_second": round(result.metrics["train_steps_per_second"], 3),
        "processes": trainer.args.world_size,
        "resumed_at": int(start.name.rpartition("-")[2]) if start else None,
    }
    save(trainer, run.out, history)
    (run.out / CARD).write_text(card(run, history))


def train(trainer: Trainer, start: Path | None) -> TrainOutput:
    """Run Trainer's loop. Raises TrainingError if a GPU's memory is full."""
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
    """The model in training, without accelerate's wrappers."""
    return cast(PreTrainedModel, trainer.accelerator.unwrap_model(trainer.model))


def parameters(model: PreTrainedModel) -> int:
    """Number of parameters, including those that ZeRO-3 holds in other processes."""
    return sum(getattr(weight, "ds_numel", weight.numel()) for weight in model.parameters())


def save(trainer: Trainer, folder: Path, history: list[dict[str, Any]]) -> None:
    """Write checkpoint, tokenizer, chat template and log, without any times or paths of the run."""
    model = model_of(trainer)
    model.config.use_cache = True  # Trainer turns it off; a checkpoint without it would generate slowly
    if trainer.args.bf16:
        cast(torch.nn.Module, model).to(torch.bfloat16)
    trainer.save_model(str(folder))
    (folder / "training_args.bin").unlink(missing_ok=True)
    log_file = folder / "log.jsonl"
    with log_file.open("w") as log:
        for entry in history:  # keys are sorted: the history of a resumed run has them in another order
            kept = sorted(entry.keys() - UNLOGGED - {"step"})
            log.write(json.dumps({"step": entry["step"], **{key: entry[key] for key in kept}}) + "\n")
    for file in folder.iterdir():  # safetensors writes files of mode 0600; the log's mode follows the umask
        file.chmod(stat.S_IMODE(log_file.stat().st_mode))


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
    """Raise TrainingError if the model has fewer positions than the `needed` tokens that `settings` (a name) allows."""
    positions = AutoConfig.from_pretrained(folder).max_position_embeddings
    if needed > positions:
        raise TrainingError(
            f"{settings} allows sequences of {needed} tokens, but the model in {folder} has {positions} positions "
            f"(max_position_embeddings): lower {settings}"
        )
