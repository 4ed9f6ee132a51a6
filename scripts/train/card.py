"""Write a model's card, the README.md that the Hub shows: its inputs, its training, how to use it, its settings.

A card is beside a model's content and not part of it, so a new wording trains nothing again. It holds no time, no path
and not the model's own name: equal checkpoints have equal cards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from scripts.common.step import Run
from scripts.train.settings.base import Optimizer

SHOWN = ("loss", "reward", "entropy", "grad_norm", "completions/mean_length")
USE = """\
```python
from transformers import AutoModelForCausalLM, AutoTokenizer

folder = "..."  # where this file is
tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
chat = [{{"role": "user", "content": "What is 12 + 34?"}}]
thinking = {thinking}
inputs = tokenizer.apply_chat_template(
    chat, add_generation_prompt=True, enable_thinking=thinking, return_tensors="pt", return_dict=True
)
output = model.generate(**inputs, max_new_tokens=256)[0, inputs["input_ids"].shape[1] :]
print(tokenizer.decode(output, skip_special_tokens=True))
```
"""


def card(run: Run[Any], history: Sequence[Mapping[str, Any]]) -> str:
    """The text of the card, from the training's log and the counts in `run`."""
    training: Optimizer = run.settings.training
    head = {"library_name": "transformers", "pipeline_tag": "text-generation", "tags": ["qwen3", training.tag]}
    size = f"{run.counts['parameters']:,} parameters, {run.counts['steps']:,} steps, seed {run.seed}."
    parts = [
        f"---\n{yaml.safe_dump(head, sort_keys=False)}---\n",
        f"# {training.method}\n\n{size}\n",
        _table("Made from", ["input", "artifact", "manifest (SHA-256)"], _inputs(run)),
        _table("Rows", ["", ""], [[name, f"{count:,}"] for name, count in _rows(run.counts)]),
        _table("Course", ["", "first step", "last step"], _course(history)),
    ]
    if "init" in run.inputs:  # without one it is a base model, which cannot chat
        thinking = getattr(run.settings, "thinking", "False  # True if its data contain thinking")
        parts.append(f"## Use\n\n{USE.format(thinking=thinking)}")
    settings = training.model_dump(mode="json", exclude_none=True)
    parts.append(f"## Settings\n\n```yaml\n{yaml.safe_dump(settings, sort_keys=False)}```\n")
    return "\n".join(parts)


def _inputs(run: Run[Any]) -> list[list[str]]:
    """A row per input: its use (a teacher's domain included), the name of its folder, its digest."""
    rows = []
    for name, artifacts in run.inputs.items():
        for use, artifact in zip(run.names.get(name, [""] * len(artifacts)), artifacts, strict=True):
            rows.append([f"{name} {use}".strip(), artifact.folder.name, f"`{artifact.digest[:16]}`"])
    return rows


def _rows(counts: Mapping[str, Any]) -> list[tuple[str, int]]:
    """How many rows were read, kept and dropped, and how many tokens they have if that was counted."""
    dropped = [(f"dropped: {reason}", count) for reason, count in counts["dropped"].items()]
    tokens = [(name, counts[name]) for name in ("tokens", "trained_tokens") if name in counts]
    return [("in", counts["in"]), ("kept", counts["kept"]), *dropped, *tokens]


def _course(history: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    first, last = history[0], history[-1]
    names = [name for name in first if name in SHOWN or name.startswith("divergence/")]
    return [[name, f"{first[name]:.4g}", f"{last[name]:.4g}"] for name in sorted(names) if name in last]


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return f"## {title}\n\n" + "".join("| " + " | ".join(line) + " |\n" for line in lines)
