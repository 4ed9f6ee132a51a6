"""Run supervised fine-tuning as in TRL's documentation: SFTTrainer on chats with every setting at its default.

    python -m benchmarks.trl_defaults --model FOLDER --chats FOLDER --steps N --out FILE

The meter of the project's own trainings measures it and writes its figures to --out as JSON.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch
from datasets import Dataset
from trl import SFTConfig, SFTTrainer

from scripts.common import records
from scripts.common.artifacts import write_json
from scripts.common.step import is_main_process
from scripts.train.speed import Meter, flops_per_token
from scripts.train.trainer import model_of, parameters


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("model", "chats", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--steps", type=int, required=True)
    arguments = parser.parse_args()
    chats = Dataset.from_list(list(records.iterate(arguments.chats, ["messages"])))
    with tempfile.TemporaryDirectory() as folder:
        measurement = {"save_strategy": "no", "report_to": "none", "logging_steps": 1, "disable_tqdm": True}
        trainer = SFTTrainer(
            model=str(arguments.model),
            args=SFTConfig(folder, max_steps=arguments.steps, use_cpu=not torch.cuda.is_available(), **measurement),
            train_dataset=chats,
        )
        lengths = [len(row) for row in trainer.train_dataset["input_ids"]]
        model = model_of(trainer)
        meter = Meter(flops_per_token(model.config, parameters(model), lengths))
        trainer.add_callback(meter)
        trainer.train()
    if is_main_process():
        write_json(arguments.out, meter.notes())


if __name__ == "__main__":
    main()
