"""The cost of training: tokens times FLOP of forward and backward passes, with the sampling of on-policy methods."""

from __future__ import annotations

from scripts.train.settings.base import Optimizer, TrainedModel
from scripts.train.settings.grpo import Grpo
from scripts.train.settings.on_policy import OnPolicy
from scripts.train.settings.opd import OpdModel
from scripts.train.settings.supervised import Supervised
from scripts.workflow.artifacts import Artifact
from scripts.workflow.estimates import documents, generation
from scripts.workflow.estimates.basis import Basis, Cost
from scripts.workflow.estimates.shapes import Shape, shape_of


def fetch(basis: Basis, artifact: Artifact) -> Cost | None:
    """Disk and download of a model of the hub."""
    shape = shape_of(basis.config, artifact.names["model"])
    if shape is None:
        return None
    size = 2 * shape.parameters  # bf16
    return Cost(disk_bytes=size, download_bytes=size, basis=f"{shape.parameters / 1e9:.1f}B parameters x 2 bytes")


def training(basis: Basis, shape: Shape, tokens: float, sequence: float) -> Cost:
    """tokens x FLOP of 3 forward passes after half the sequence / (peak x training MFU); disk is the final weights."""
    flops = shape.training_flops(sequence / 2)
    return Cost(
        gpu_hours=tokens * flops / (basis.assumed.peak_flops * basis.assumed.training_mfu * 3600),
        disk_bytes=2 * shape.parameters,  # bf16
        basis=f"{tokens / 1e6:,.0f}M tokens x {flops / 1e9:.0f} GFLOP / (peak x {basis.assumed.training_mfu:g})",
    )


def train(basis: Basis, name: str, model: TrainedModel) -> Cost | None:
    """The cost of a training; None for a pretraining, or if the model's shape is not known."""
    settings, shape = basis.config.training_of(name), shape_of(basis.config, name)
    if shape is None:
        return None
    if isinstance(settings, Supervised):
        return _supervised(basis, shape, model, settings)
    if isinstance(settings, OnPolicy):
        return _on_policy(basis, shape, model, settings)
    return None


def _supervised(basis: Basis, shape: Shape, model: TrainedModel, settings: Supervised) -> Cost:
    sequence = basis.assumed.prompt_tokens + basis.answer_tokens(model.thinking, settings.max_length)
    return training(basis, shape, _sequences(basis, model, settings) * sequence, sequence)


def _sequences(basis: Basis, model: TrainedModel, settings: Optimizer) -> float:
    """Sequences of a whole training; in GRPO, a record gives one sequence per completion of its group."""
    if settings.epochs is None:
        return (settings.max_steps or 0) * settings.batch_size
    group = settings.group_size if isinstance(settings, Grpo) else 1
    return documents.dataset_size(basis, model.dataset) * settings.epochs * group


def _on_policy(basis: Basis, shape: Shape, model: TrainedModel, settings: OnPolicy) -> Cost | None:
    """Decoding by the policy, one forward pass of each scorer, and training on the completions."""
    scorers = _scorers(basis, shape, model, settings)
    if scorers is None:
        return None
    completions = _sequences(basis, model, settings)
    tokens = basis.answer_tokens(model.thinking, settings.rollout.max_completion_tokens)
    sequence = basis.assumed.prompt_tokens + tokens
    gpus = basis.config.budget_of(f"train.{model.kind}").gpus
    drawn = generation.decoding(basis, shape, completions, tokens, model.thinking, gpus)
    learnt = training(basis, shape, completions * sequence, sequence)
    rate = basis.assumed.peak_flops * basis.assumed.training_mfu * 3600
    scored = sum(completions * sequence * scorer.forward_flops(sequence / 2) / rate for scorer in scorers)
    return Cost(
        gpu_hours=drawn.gpu_hours + learnt.gpu_hours + scored,
        disk_bytes=learnt.disk_bytes,
        basis=f"rollouts: {drawn.basis}; training: {learnt.basis}"
        + (f"; {len(scorers)} scorer: {scored:.0f} GPU h" if scorers else ""),
    )


def _scorers(basis: Basis, shape: Shape, model: TrainedModel, settings: OnPolicy) -> list[Shape] | None:
    """Models that only score the completions; None if a teacher's shape is not known."""
    if isinstance(model, OpdModel):
        names = list(model.teachers.values()) if model.teachers else [model.teacher or ""]
        teachers = [teacher for name in names if (teacher := shape_of(basis.config, name))]
        largest = max(teachers, key=lambda teacher: teacher.parameters, default=shape)
        return [largest] if len(teachers) == len(names) else None
    if isinstance(settings, Grpo):
        corrected = settings.rollout.engine != "transformers" and settings.importance_correction != "none"
        return [shape] * (
            corrected + bool(settings.beta)
        )  # the policy, to correct vLLM's log-probabilities; the reference
    return []
