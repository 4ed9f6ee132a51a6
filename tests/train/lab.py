"""Settings, data sets and runs at the smallest size at which every trainer really trains."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from scripts.common import records
from scripts.common.artifacts import open_artifact, write_manifest
from scripts.common.step import Run

NANO = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "max_position_embeddings": 256,
}
OPTIMIZER = {
    "learning_rate": 5e-3,
    "schedule": "cosine",
    "warmup_ratio": 0.0,
    "weight_decay": 0.0,
    "max_grad_norm": 1.0,
    "batch_size": 8,
    "micro_batch_size": 4,
    "max_steps": 8,
    "bf16": False,
    "gradient_checkpointing": False,
    "save_steps": 1000,
}
SUPERVISED = OPTIMIZER | {"max_length": 96, "packing": False}
ROLLOUT = {"temperature": 1.0, "max_prompt_tokens": 64, "max_completion_tokens": 12, "engine": "transformers"}
GRPO = OPTIMIZER | {
    "rollout": ROLLOUT,
    "batch_size": 16,
    "micro_batch_size": 8,
    "group_size": 4,
    "loss": "dapo",
    "scale_rewards": "group",
    "epsilon": 0.2,
    "epsilon_high": 0.28,
    "beta": 0.0,
    "mask_truncated": False,
}
OPD = OPTIMIZER | {"rollout": ROLLOUT, "beta": 1.0}
PRETRAIN = SUPERVISED | {"architecture": NANO, "tokenizer": {"vocabulary": 301}}
CAPITALS = {"Avaria": "A", "Borland": "B", "Cadore": "C", "Dunmark": "D"}


def chat(question: str, reply: str, domain: str = "knowledge", target: str = "A") -> records.Record:
    """A record with one question, its answer and a choice to verify."""
    messages: list[records.Message] = [
        {"role": "user", "content": question},
        {"role": "assistant", "content": reply},
    ]
    return records.make_record("test", domain, messages, ("choice", {"target": target}), {})


def corpus(count: int, seed: int) -> list[records.Record]:
    """Questions of two domains. The right letter is drawn at random, so no model knows it and rewards vary."""
    draw = random.Random(seed)
    rows = []
    for number in range(count):
        land, letter = draw.choice(list(CAPITALS)), draw.choice("ABCD")
        domain = "knowledge" if number % 2 else "math"
        rows.append(chat(f"{number}: which letter does {land} like?", f"Answer: {letter}", domain, letter))
    return rows


def dataset(folder: Path, rows: Iterable[Any]) -> Path:
    """The manifest of a data set with these records."""
    (folder / records.RECORDS).mkdir(parents=True)
    records.write(folder / records.RECORDS, rows)
    write_manifest(folder, {})
    return folder / "manifest.json"


def finished(folder: Path) -> Path:
    """The manifest of a folder that a step function wrote into."""
    write_manifest(folder, {})
    return folder / "manifest.json"


def a_run(settings: Any, folder: Path, seed: int = 1, names: dict[str, list[str]] | None = None, **inputs: Any) -> Run:
    """A step's `Run` without the command line: output in `folder`/out, working files in `folder`/work."""
    lists = {name: paths if isinstance(paths, list) else [paths] for name, paths in inputs.items()}
    (folder / "out").mkdir(parents=True)
    return Run(
        settings=settings,
        seed=seed,
        out=folder / "out",
        outputs=[folder / "manifest.json"],
        work=folder / "work",
        inputs={name: [open_artifact(path) for path in paths] for name, paths in lists.items()},
        names=names or {},
    )


def log_of(folder: Path) -> list[dict[str, Any]]:
    """The training log of a model."""
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def load(folder: Path, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """A model, ready to be evaluated."""
    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()


SAMPLING = {
    "num_beams": 4,
    "min_p": 0.99,
    "no_repeat_ngram_size": 1,
    "top_k": 1,
    "temperature": 0.01,
    "max_new_tokens": 3,
}
"""Settings of a generation_config.json; each of them changes how a model samples."""


def with_sampling(source: Path, target: Path) -> Path:
    """The manifest of a copy of the model in `source` whose generation_config.json holds SAMPLING."""
    shutil.copytree(source, target)
    file = target / "generation_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | SAMPLING | {"do_sample": True}))
    return finished(target)


def perturbed(source: Path, target: Path, seed: int) -> Path:
    """The manifest of a copy of the model in `source` with noise on its weights: a teacher that differs."""
    shutil.copytree(source, target)
    model, generator = load(source), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.05 * torch.randn(weight.shape, generator=generator)
    model.save_pretrained(target)
    return finished(target)
