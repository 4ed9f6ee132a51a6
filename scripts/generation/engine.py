"""Load the engine that generates: `transformers` on a CPU, `vllm` in this process, `vllm-server` in other processes."""

from __future__ import annotations

from pathlib import Path

from scripts.common.settings import Engine
from scripts.generation.prompts import ModelEngine
from scripts.generation.serving import from_environment


def load(folder: Path, settings: Engine, seed: int) -> ModelEngine:
    """The engine that `settings.kind` names, with the checkpoint in `folder`.

    The imports are local, so no engine needs the packages of another.
    """
    if settings.kind == "vllm-server":
        from scripts.generation.server_engine import ServerEngine

        return ServerEngine(folder, settings, seed, from_environment())
    if settings.kind == "vllm":
        from scripts.generation.vllm_engine import VllmEngine

        return VllmEngine(folder, settings, seed)
    from scripts.generation.transformers_engine import TransformersEngine

    return TransformersEngine(folder, settings)
