"""A Qwen3 of a few thousand random weights with the project's tokenizer and chat template, as a checkpoint."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

from scripts.common.artifacts import write_json, write_manifest
from scripts.common.records import RECORDS, make_record, write

TEXTS = [
    f"<|im_start|>user\nWhat is {a} + {b}? Answer: {a + b}. The sum of {a} and {b} is {a + b}."
    for a in range(20)
    for b in range(20)
]
MATH = [(f"What is {a} plus {b}?", str(a + b)) for a, b in [(1, 2), (13, 4), (5, 5), (20, 22), (7, 8), (9, 31)]]


def save_model(folder: Path, seed: int = 0, vocabulary: int = 290, context: int = 96, head_dim: int = 8) -> Path:
    """Write the checkpoint, with a manifest as a training step leaves it; return the manifest's path."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    from scripts.train.tokenizer import TURN_END, train_tokenizer

    tokenizer = train_tokenizer(TEXTS, vocabulary, context)
    torch.manual_seed(seed)
    config = Qwen3Config(
        vocab_size=vocabulary,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=head_dim,
        max_position_embeddings=context,
        tie_word_embeddings=True,
        initializer_range=0.4,  # peaked enough that greedy decoding has no ties
        eos_token_id=tokenizer.convert_tokens_to_ids(TURN_END),
        pad_token_id=tokenizer.pad_token_id,
    )
    folder.mkdir(parents=True)
    Qwen3ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_manifest(folder, {})
    write_json(folder / "run.json", {})
    return folder / "manifest.json"


def run_step(module: ModuleType, settings: dict[str, Any], out: Path | list[Path], **inputs: Path | list[Path]) -> Path:
    """Run a step's `main` in this process as its rule would; return the (first) output."""
    recipe = {"settings": settings, "seed": 1, "code": "", "environment": {}}
    arguments = ["step", "--recipe", json.dumps(recipe)]
    for name, paths in {**inputs, "out": out}.items():
        arguments += [f"--{name}", *map(str, paths if isinstance(paths, list) else [paths])]
    with patch.object(sys, "argv", arguments):
        module.main()
    return out[0] if isinstance(out, list) else out


def save_records(folder: Path, records: list[dict]) -> Path:
    """Write records as an artifact; return the manifest's path."""
    write(folder / RECORDS, records)
    write_manifest(folder, {"kept": len(records)})
    return folder / "manifest.json"


def math_records(source: str = "sums") -> list[dict]:
    """Six sums with their answers; the source's own response is right for all but the last."""
    return [
        dict(make_record(source, "math", _chat(prompt, target, right=place < 5), ("math", {"target": target}), {}))
        for place, (prompt, target) in enumerate(MATH)
    ]


def _chat(prompt: str, target: str, right: bool) -> list:
    answer = f"The answer is {target}." if right else "The answer is 1000."
    return [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
