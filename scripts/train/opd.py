"""Distil on-policy: the student samples completions, and a teacher scores each of their tokens.

There is one teacher, or one per domain of the prompts. `opd_trainer.py` states the loss.

    python -m scripts.train.opd --recipe JSON --dataset DATASET/manifest.json --init MODEL/manifest.json \
        --teachers all=TEACHER/manifest.json | math=TEACHER/manifest.json code=... --out MODEL/manifest.json
"""

from __future__ import annotations

from scripts.train import start  # the first import, for the reason given there

# isort: split
from functools import partial
from pathlib import Path

from datasets import Dataset
from transformers import AutoConfig, PreTrainedTokenizerBase
from trl import DistillationConfig

from scripts.common import records
from scripts.common.chat.rendering import load_tokenizer, render_prompt, token_ids
from scripts.common.records import Message
from scripts.common.step import Run, step
from scripts.generation.serving import from_environment
from scripts.train.opd_trainer import MultiTeacherTrainer, route
from scripts.train.policy import check_prompts, check_rollout, policy_tokenizer, rollout_arguments
from scripts.train.rows import prompt_set
from scripts.train.settings.opd import OpdStep
from scripts.train.teachers import ServedTeacher
from scripts.train.trainer import TrainingError, fit, frozen_weights, training_arguments

PROBE: list[Message] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "What is 12 + 34?"},
    {"role": "assistant", "content": "46"},
    {"role": "user", "content": "Why?"},
]
"""A chat that the tokenizers of student and teacher must turn into the same token ids."""


def distill(run: Run[OpdStep]) -> None:
    """Train `init` towards the teachers on the prompts of `dataset` and write the checkpoint into `run.out`."""
    settings, init, thinking = run.settings.training, run.input("init").folder, run.settings.thinking
    teachers = {name: artifact.folder for name, artifact in run.named("teachers").items()}
    tokenizer = policy_tokenizer(init)
    for name, folder in teachers.items():
        check_teacher(name, folder, init, tokenizer, thinking)
    for folder in (init, *teachers.values()):
        check_rollout(folder, settings.rollout)
    rows = records.iterate(run.input("dataset").folder / records.RECORDS)
    prompts = prompt_set(rows, tokenizer, thinking, settings.rollout.max_prompt_tokens, run.counts)
    prompts = route(prompts, list(teachers))
    check_prompts(prompts, settings.batch_size, settings)
    trainer = MultiTeacherTrainer(
        model=str(init),
        teachers={name: str(folder) for name, folder in teachers.items()},
        teacher_temperature=settings.teacher_temperature,
        estimate=settings.estimate,
        served=partial(ServedTeacher, serving=from_environment()) if settings.teacher_engine == "vllm-server" else None,
        args=training_arguments(
            DistillationConfig,
            settings,
            run,
            beta=settings.beta,
            teacher_model_init_kwargs=frozen_weights(settings),
            **rollout_arguments(settings, thinking, run.name),
        ),
        train_dataset=Dataset.from_list([{"prompt": row["prompt"], "domain": row["domain"]} for row in prompts]),
        processing_class=tokenizer,
    )
    fit(trainer, run)


def check_teacher(name: str, folder: Path, init: Path, tokenizer: PreTrainedTokenizerBase, thinking: bool) -> None:
    """Raise TrainingError if student and teacher read a token id or a chat differently."""
    teacher = load_tokenizer(folder)
    sizes = {path: AutoConfig.from_pretrained(path).vocab_size for path in (init, folder)}
    pair = f"teacher {name} ({folder}) and student ({init})"
    if sizes[init] != sizes[folder]:
        raise TrainingError(
            f"{pair} have vocabularies of {sizes[folder]} and {sizes[init]} tokens: distillation compares whole "
            "distributions, so take a teacher of the student's family"
        )
    if teacher.get_vocab() != tokenizer.get_vocab():
        text, _ = min(set(teacher.get_vocab().items()) ^ set(tokenizer.get_vocab().items()))
        raise TrainingError(f"{pair} do not have the same tokens ({text!r} differs): take one of the student's family")
    if probe_ids(teacher, thinking) != probe_ids(tokenizer, thinking):
        raise TrainingError(f"{pair} turn the same chat into different tokens: give both one chat template")


def probe_ids(tokenizer: PreTrainedTokenizerBase, thinking: bool) -> list[int]:
    """Token ids of the probe as a prompt."""
    (ids,) = token_ids([render_prompt(PROBE, tokenizer, thinking)], tokenizer)
    return ids


def main() -> None:
    """Run the step from the command line."""
    start.ready()
    with step(__spec__, inputs=("dataset", "init"), settings=OpdStep, named=("teachers",)) as run:
        distill(run)


if __name__ == "__main__":
    main()
