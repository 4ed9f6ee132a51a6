"""The cost of an artifact, by the formula of its step."""

from __future__ import annotations

from collections.abc import Callable

from scripts.train.settings.base import TrainedModel
from scripts.workflow.artifacts import Artifact
from scripts.workflow.estimates import documents, generation, training
from scripts.workflow.estimates.basis import Basis, Cost

ON_GPUS = ("distill.sample", "distill.judge", "mix.encode", "evaluate.generate")
"""Steps that use the GPUs of their budget, besides all trainings."""
FORMULAS: dict[str, Callable[[Basis, Artifact], Cost | None]] = {
    "sources.download": documents.download,
    "sources.normalize": documents.normalize,
    "mix.build": documents.build,
    "distill.sample": generation.sample,
    "distill.judge": generation.judge,
    "distill.grade": generation.grade,
    "distill.cross_verify": generation.verify,
    "evaluate.generate": generation.generate,
    "evaluate.score": generation.score,
    "train.hub": training.fetch,
}


def estimate(basis: Basis, artifact: Artifact) -> Cost | None:
    """Cost of the job that makes an artifact.

    None if there is no formula: a step without one, a source that states no rows, a model on the CPU.
    """
    on_gpus = artifact.step in ON_GPUS or _trained(basis, artifact) is not None
    if on_gpus and not basis.config.budget_of(artifact.step).gpus:
        return None
    cost = _by_formula(basis, artifact)
    return cost if cost and (cost.gpu_hours or cost.cpu_hours or cost.download_bytes) else None


def _by_formula(basis: Basis, artifact: Artifact) -> Cost | None:
    if artifact.step in documents.DOCUMENT_MS and "pool" in artifact.names:
        return documents.curate(basis, artifact)
    if model := _trained(basis, artifact):
        return training.train(basis, artifact.names["model"], model)
    return FORMULAS[artifact.step](basis, artifact) if artifact.step in FORMULAS else None


def _trained(basis: Basis, artifact: Artifact) -> TrainedModel | None:
    """The model that the artifact is, if a training makes it."""
    model = basis.config.models[artifact.names["model"]] if artifact.stage == "train" else None
    return model if isinstance(model, TrainedModel) else None
