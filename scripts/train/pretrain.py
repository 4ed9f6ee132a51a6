"""Train a tokenizer and a Qwen3 model on texts and chats, from random weights: the tiny scale's base model.

python -m scripts.train.pretrain --recipe JSON --dataset DATASET/manifest.json --out MODEL/manifest.json
"""

from __future__ import annotations

from scripts.train import start  # the first import, for the reason given there

# isort: split
from transformers import GenerationConfig, PreTrainedTokenizerBase, Qwen3Config, Qwen3ForCausalLM, set_seed
from trl import SFTConfig, SFTTrainer

from scripts.common import records
from scripts.common.step import Run, step
from scripts.train.rows import document_row, training_set
from scripts.train.settings.pretrain import Architecture, PretrainStep
from scripts.train.supervised import supervised_arguments
from scripts.train.tokenizer import train_tokenizer
from scripts.train.trainer import fit, training_arguments


def new_model(architecture: Architecture, tokenizer: PreTrainedTokenizerBase, seed: int) -> Qwen3ForCausalLM:
    """A Qwen3 model with random weights, in float32."""
    set_seed(seed)
    model = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(tokenizer),
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            **architecture.model_dump(),
        )
    )
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, do_sample=False
    )
    return model


def pretrain(run: Run[PretrainStep]) -> None:
    """Train the tokenizer and the model, and write both into `run.out`."""
    settings, folder = run.settings.training, run.input("dataset").folder / records.RECORDS
    texts = ("\n\n".join(message["content"] for message in row["messages"]) for row in records.iterate(folder))
    tokenizer = train_tokenizer(texts, settings.tokenizer.vocabulary, settings.architecture.max_position_embeddings)
    documents = (document_row(row["messages"], tokenizer) for row in records.iterate(folder, ["messages"]))
    rows = training_set(documents, settings.max_length, run.seed, run.work, run.counts)
    trainer = SFTTrainer(
        model=new_model(settings.architecture, tokenizer, run.seed),
        args=training_arguments(SFTConfig, settings, run, **supervised_arguments(settings)),
        train_dataset=rows,
        processing_class=tokenizer,
    )
    fit(trainer, run, rows["length"])


def main() -> None:
    """Run the step from the command line."""
    start.ready()
    with step(__spec__, inputs=("dataset",), settings=PretrainStep) as run:
        pretrain(run)


if __name__ == "__main__":
    main()
