"""Measure the speed of training on random weights: the project's SFT against TRL's defaults, and GRPO and OPD.

    python -m benchmarks.bench_train --shape qwen3-8b --gpus 8 --deepspeed scales/zero-3.json
    python -m benchmarks.bench_train --shape qwen3-8b --layers 9 --steps 12       # one GPU of 80 GB holds a quarter
    python -m benchmarks.bench_train                                              # nano, on a CPU: a smoke test

Settings are the paper scale's, except for --batch and --completion-tokens. The pipeline's launcher starts one run per
row; its first step is not counted. A model of random weights does not end its answers, so every rollout has
--completion-tokens tokens. Tokens are prompts and answers without padding, summed over all GPUs. Memory is the peak of
the fullest GPU of the first process, or of the process if there is no GPU.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shlex
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.common import records
from scripts.common.artifacts import open_artifact, read_json, write_manifest
from scripts.common.budget import Budget
from scripts.common.fingerprint import ROOT
from scripts.containers.launch import launch
from scripts.workflow import config

QWEN3_8B = {
    "vocab_size": 151936,
    "hidden_size": 4096,
    "intermediate_size": 12288,
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "max_position_embeddings": 40960,
    "tie_word_embeddings": False,
}
NANO = QWEN3_8B | {
    "vocab_size": 512,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
}
SHAPES = {"qwen3-8b": QWEN3_8B, "nano": NANO}
ON_CPU = {"attention": "sdpa", "max_length": 2048}
"""Replacements of the paper's settings that a CPU does not support."""
WORDS = (250, 700)
"""Mean words of a prompt and of an answer, one token per word, as `make plan` assumes; lengths are lognormal."""


@dataclass(frozen=True)
class Bench:
    """The folder of the benchmark's model and data, and its options."""

    folder: Path
    options: argparse.Namespace

    def settings(self, model: str, **overrides: Any) -> dict[str, Any]:
        """The paper scale's training settings of a model, with the benchmark's number of steps and batch."""
        paper = config.read("paper").training_of(model).model_dump(mode="json")
        common = {"epochs": None, "max_steps": self.options.steps, "save_steps": self.options.steps + 1}
        if self.options.shape == "nano":
            overrides |= {name: value for name, value in ON_CPU.items() if name in paper}
        return paper | common | {"batch_size": self.options.batch} | overrides

    def rollout(self) -> dict[str, Any]:
        sampling = {"max_prompt_tokens": 1024, "max_completion_tokens": self.options.completion_tokens}
        return {"temperature": 1.0, **sampling, "engine": self.options.engine}

    def run(self, module: str, arguments: str) -> None:
        """Run a module in its own processes. Raises RuntimeError with the end of its output if it fails."""
        start = launch(Budget(gpus=self.options.gpus, deepspeed=self.options.deepspeed), None, "")
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        modules = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        environment = {**os.environ, "PATH": path, "PYTHONPATH": modules}
        environment.setdefault("OMP_NUM_THREADS", "1")
        command = f"exec env {start} {module} {arguments}"
        done = subprocess.run(command, shell=True, cwd=self.folder, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{module} failed:\n{done.stdout[-2000:]}\n{done.stderr[-6000:]}")

    def step(self, kind: str, settings: dict[str, Any], arguments: str) -> dict[str, float]:
        """Run a step of the pipeline and return the notes of its record."""
        recipe = shlex.quote(json.dumps({"settings": settings, "seed": 1}))
        out = f"--init model/manifest.json --out {kind}-out/manifest.json"
        self.run(f"scripts.train.{kind}", f"--recipe {recipe} {arguments} {out}")
        return read_json(self.folder / f"{kind}-out" / "run.json")["notes"]


def trl_defaults(bench: Bench) -> dict[str, float]:
    out = bench.folder / "trl.json"
    bench.run(
        "benchmarks.trl_defaults", f"--model model --chats chats/records --steps {bench.options.steps} --out {out}"
    )
    return read_json(out)


def sft(bench: Bench) -> dict[str, float]:
    return bench.step("sft", {"training": bench.settings("ins-sft-1")}, "--dataset chats/manifest.json")


def grpo(bench: Bench) -> dict[str, float]:
    training = bench.settings("ins-grpo", rollout=bench.rollout(), group_size=4, mask_truncated=False)
    settings = {"training": training, "thinking": False, "verify": {}}
    return bench.step("grpo", settings, "--dataset prompts/manifest.json")


def opd(bench: Bench) -> dict[str, float]:
    settings = {"training": bench.settings("opd", rollout=bench.rollout()), "thinking": False}
    return bench.step("opd", settings, "--dataset prompts/manifest.json --teachers all=model/manifest.json")


ROWS: dict[str, Callable[[Bench], dict[str, float]]] = {
    "TRL defaults": trl_defaults,
    "sft": sft,
    "grpo": grpo,
    "opd": opd,
}


def make_model(folder: Path, shape: dict[str, Any]) -> None:
    """A checkpoint of random weights in bfloat16 with a tokenizer of a few hundred tokens and Qwen3's template."""
    import torch
    from transformers import GenerationConfig, Qwen3Config, Qwen3ForCausalLM

    from scripts.train.tokenizer import TURN_END, train_tokenizer

    tokenizer = train_tokenizer([" ".join(words(random.Random(0), 2000))], 285, shape["max_position_embeddings"])
    stop = tokenizer.convert_tokens_to_ids(TURN_END)
    shared = {"eos_token_id": stop, "pad_token_id": tokenizer.pad_token_id}
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    model = Qwen3ForCausalLM(Qwen3Config(**shape, bos_token_id=None, **shared))
    torch.set_default_dtype(torch.float32)
    model.generation_config = GenerationConfig(**shared)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_manifest(folder, {})


def words(draw: random.Random, count: int) -> list[str]:
    return [draw.choice(("lake", "boat", "farm", "rain", "wood", "mill")) for _ in range(count)]


def make_data(folder: Path, count: int, answered: bool) -> None:
    """Write chats of random lengths, or only their prompts (`answered` False); the target is a letter."""
    draw, rows = random.Random(1), []
    for number in range(count):
        lengths = [max(4, round(draw.lognormvariate(0, 0.6) / 1.2 * mean)) for mean in WORDS]
        question: records.Message = {"role": "user", "content": f"{number}: {' '.join(words(draw, lengths[0]))}?"}
        answer: records.Message = {"role": "assistant", "content": " ".join(words(draw, lengths[1]))}
        messages = [question, answer] if answered else [question]
        rows.append(records.make_record("bench", "knowledge", messages, ("choice", {"target": "A"}), {}))
    (folder / records.RECORDS).mkdir(parents=True)
    records.write(folder / records.RECORDS, rows)
    write_manifest(folder, {})
    open_artifact(folder / "manifest.json")


def device() -> str:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"


def table(measured: dict[str, list[dict[str, float]]]) -> str:
    """The table: medians over the rounds, and the least and the largest tokens per second."""
    lines = [f"{'':14}{'tokens/s':>12}{'least':>12}{'largest':>12}{'MFU':>8}{'memory GB':>11}{'steps/s':>9}"]
    for name, rounds in measured.items():
        rates = [notes["tokens_per_second"] for notes in rounds]
        middle = {key: statistics.median(notes[key] for notes in rounds) for key in ("memory_gb",)}
        mfu = statistics.median([notes["mfu"] for notes in rounds]) if "mfu" in rounds[0] else None
        steps = statistics.median([notes["steps_per_second"] for notes in rounds if "steps_per_second" in notes] or [0])
        lines.append(
            f"{name:14}{statistics.median(rates):>12,.0f}{min(rates):>12,.0f}{max(rates):>12,.0f}"
            f"{f'{mfu:.3f}' if mfu else '-':>8}{middle['memory_gb']:>11.2f}{f'{steps:.3f}' if steps else '-':>9}"
        )
    return "\n".join(lines)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=sorted(SHAPES), default="nano")
    parser.add_argument("--layers", type=int, help="fewer than the shape's: each costs the same, so MFU hardly changes")
    parser.add_argument("--gpus", type=int, default=1, help="processes, one per GPU")
    parser.add_argument("--deepspeed", help="DeepSpeed's configuration file below the project, for several GPUs")
    parser.add_argument("--engine", choices=("transformers", "vllm-colocate"), default="transformers")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--batch", type=int, default=8, help="packed rows (SFT) or completions per step")
    parser.add_argument("--completion-tokens", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=list(ROWS), default=list(ROWS))
    return parser.parse_args()


def main() -> None:
    options = parsed()
    shape = SHAPES[options.shape] | ({"num_hidden_layers": options.layers} if options.layers else {})
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), options)
        make_model(bench.folder / "model", shape)
        make_data(bench.folder / "chats", options.steps * options.batch * 16 + 64, answered=True)
        make_data(bench.folder / "prompts", options.steps * options.batch + 64, answered=False)
        measured: dict[str, list[dict[str, float]]] = {name: [] for name in options.only}
        for _ in range(options.rounds):
            for name in options.only:
                measured[name].append(ROWS[name](bench))
    print(f"{options.shape}, {shape['num_hidden_layers']} layers, {options.gpus} process(es), {device()}, ", end="")
    print(
        f"{options.steps} steps, batch {options.batch}, {options.completion_tokens} new tokens, n = {options.rounds}\n"
    )
    print(table(measured))


if __name__ == "__main__":
    main()
