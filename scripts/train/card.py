"""The card of a model: what it was trained from and on, how that went, and how to use it, as the Hub's README.md.

Content alone, the same every time: no time, no path and no name of its own, by which equal checkpoints would differ.
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
given = tokenizer.apply_chat_template(
    chat, add_generation_prompt=True, enable_thinking=thinking, return_tensors="pt", return_dict=True
)
said = model.generate(**given, max_new_tokens=256)[0, given["input_ids"].shape[1] :]
print(tokenizer.decode(said, skip_special_tokens=True))
```
"""


def card(run: Run[Any], history: Sequence[Mapping[str, Any]]) -> str:
    """The card's text, from the training's log and the counts that `run` has by then."""
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
    if "init" in run.inputs:  # a model made from nothing is a base, which cannot chat
        thinking = getattr(run.settings, "thinking", "False  # True where its data have thoughts")
        parts.append(f"## Use\n\n{USE.format(thinking=thinking)}")
    settings = training.model_dump(mode="json", exclude_none=True)
    parts.append(f"## Settings\n\n```yaml\n{yaml.safe_dump(settings, sort_keys=False)}```\n")
    return "\n".join(parts)


def _inputs(run: Run[Any]) -> list[list[str]]:
    """Each input by what it is for; a teacher by its domain."""
    rows = []
    for name, artifacts in run.inputs.items():
        for use, artifact in zip(run.names.get(name, [""] * len(artifacts)), artifacts, strict=True):
            rows.append([f"{name} {use}".strip(), artifact.folder.name, f"`{artifact.digest[:16]}`"])
    return rows


def _rows(counts: Mapping[str, Any]) -> list[tuple[str, int]]:
    """What was read and left out, of the counts that a training's rows have."""
    dropped = {f"dropped: {reason}": count for reason, count in counts["dropped"].items()}
    stated = {"in": counts["in"], "kept": counts["kept"], **dropped}
    return [*stated.items(), *((name, counts[name]) for name in ("tokens", "trained_tokens") if name in counts)]


def _course(history: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    first, last = history[0], history[-1]
    names = [name for name in first if name in SHOWN or name.startswith("divergence/")]
    return [[name, f"{first[name]:.4g}", f"{last[name]:.4g}"] for name in sorted(names) if name in last]


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return f"## {title}\n\n" + "".join("| " + " | ".join(line) + " |\n" for line in lines)
