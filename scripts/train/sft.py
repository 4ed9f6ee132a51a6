"""Fine-tune a model on chats, with a loss on the last assistant turn alone. The new model ends a turn with <|im_end|>.

    python -m scripts.train.sft --recipe JSON --dataset DATASET/manifest.json --init MODEL/manifest.json \
        --out MODEL/manifest.json
"""

from __future__ import annotations

from scripts.train import start  # the first import, for the reason given there

# isort: split
from pathlib import Path

from transformers import PreTrainedTokenizerBase
from trl import SFTConfig, SFTTrainer

from scripts.common import records
from scripts.common.chat.rendering import load_tokenizer
from scripts.common.step import Run, step
from scripts.train.rows import chat_row, training_set
from scripts.train.settings.sft import SftStep
from scripts.train.supervised import supervised_arguments
from scripts.train.tokenizer import CHAT_TEMPLATE, END_OF_TEXT, TURN_END, TURN_START
from scripts.train.trainer import (
    TrainingError,
    check_context,
    fit,
    model_of,
    training_arguments,
    weights,
)


def chat_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a Qwen checkpoint, with Qwen3's chat template, which a base model may lack."""
    tokenizer = load_tokenizer(folder)
    missing = [text for text in (END_OF_TEXT, TURN_START, TURN_END) if text not in tokenizer.get_vocab()]
    if missing:
        raise TrainingError(f"the tokenizer in {folder} lacks {', '.join(missing)}: start from a Qwen checkpoint")
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def finetune(run: Run[SftStep]) -> None:
    """Train from `init` on `dataset` and write the checkpoint into `run.out`."""
    settings, init = run.settings.training, run.input("init").folder
    tokenizer = chat_tokenizer(init)
    check_context(init, settings.max_length, "max_length")
    chats = records.iterate(run.input("dataset").folder / records.RECORDS, ["messages"])
    rows = training_set(
        (chat_row(row["messages"], tokenizer) for row in chats), settings.max_length, run.seed, run.work, run.counts
    )
    trainer = SFTTrainer(
        model=str(init),
        args=training_arguments(
            SFTConfig,
            settings,
            run,
            model_init_kwargs=weights(settings),
            eos_token=TURN_END,  # TRL writes it into the tokenizer, config.json and generation_config.json
            **supervised_arguments(settings),
        ),
        train_dataset=rows,
        processing_class=tokenizer,
    )
    if settings.max_position_embeddings is not None:
        model_of(trainer).config.max_position_embeddings = settings.max_position_embeddings
    fit(trainer, run, rows["length"])


def main() -> None:
    """Run the step from the command line."""
    start.ready()
    with step(__spec__, inputs=("dataset", "init"), settings=SftStep) as run:
        finetune(run)


if __name__ == "__main__":
    main()
