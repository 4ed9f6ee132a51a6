"""Choice of the engine that generates: `transformers` on a CPU, `vllm` in this process, `vllm-server` in others."""

from __future__ import annotations

from pathlib import Path

from scripts.common.settings import Engine
from scripts.generation.prompts import ModelEngine
from scripts.generation.serving import of_this_job


def load(folder: Path, settings: Engine, seed: int) -> ModelEngine:
    """The engine that `settings.kind` names, with the checkpoint in `folder` loaded.

    Each engine is imported here, so that none needs another's packages.
    """
    if settings.kind == "vllm-server":
        from scripts.generation.server_engine import ServerEngine

        return ServerEngine(folder, settings, seed, of_this_job())
    if settings.kind == "vllm":
        from scripts.generation.vllm_engine import VllmEngine

        return VllmEngine(folder, settings, seed)
    from scripts.generation.transformers_engine import TransformersEngine

    return TransformersEngine(folder, settings)
