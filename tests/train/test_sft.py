"""Supervised training: the loss is the mean over the assistant's tokens, and the model learns to stop."""

from __future__ import annotations

import json
import shutil
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from trl import SFTTrainer

from scripts.common import records
from scripts.common.fingerprint import sha256_file
from scripts.train import sft
from scripts.train.rows import IGNORED, chat_row
from scripts.train.settings.pretrain import Pretrain
from scripts.train.settings.sft import Sft, SftStep
from scripts.train.trainer import TrainingError
from tests.train.lab import PRETRAIN, SUPERVISED, a_run, chat, corpus, dataset, load, log_of


def finetuned(lab: types.SimpleNamespace, folder: Path, data: Path | None = None, seed: int = 1, **changes: Any) -> Any:
    """A finished fine-tuning of the base with settings changed."""
    run = a_run(SftStep(training=SUPERVISED | changes), folder, seed, dataset=data or lab.chats, init=lab.base)
    sft.finetune(run)
    return run


def written_out_loss(model: Any, tokenizer: Any, rows: list[records.Record]) -> float:
    """Mean of -log p over the labels of all rows together, one row at a time from full logits in float64."""
    total, count = 0.0, 0
    model.requires_grad_(False)
    for record in rows:
        row = chat_row(record["messages"], tokenizer)
        logits = model(torch.tensor([row["input_ids"]])).logits[0].double()
        for position, label in enumerate(row["labels"]):
            if label != IGNORED:
                total -= float(torch.log_softmax(logits[position - 1], -1)[label])
                count += 1
    return total / count


@pytest.mark.parametrize("packing", [False, True])
def test_the_loss_is_the_mean_over_the_assistants_tokens(
    lab: types.SimpleNamespace, tokenizer: Any, tmp_path: Path, packing: bool
) -> None:
    lengths = ["Answer: A", "B", "Answer: C, as all in the land like to say", "D it is"]
    rows = [chat(f"{n}: which letter?", reply) for n, reply in enumerate(lengths)]
    data = dataset(tmp_path / "data", rows)
    size = {"batch_size": 1, "max_length": 256} if packing else {"batch_size": 4}
    run = finetuned(lab, tmp_path / "run", data, packing=packing, micro_batch_size=1, max_steps=1, **size)
    expected = written_out_loss(load(lab.base.parent, torch.float64), tokenizer, rows)
    assert log_of(run.out)[0]["loss"] == pytest.approx(expected, rel=1e-5)


def test_the_micro_batch_does_not_change_the_loss(lab: types.SimpleNamespace, tmp_path: Path) -> None:
    runs = [finetuned(lab, tmp_path / str(n), batch_size=8, micro_batch_size=n, max_steps=3) for n in (2, 8)]
    first, second = ([entry["loss"] for entry in log_of(run.out)] for run in runs)
    assert first == pytest.approx(second, rel=1e-4)


def test_what_the_model_folder_holds(lab: types.SimpleNamespace) -> None:
    folder = lab.ins.parent
    assert sorted(json.loads(lab.ins.read_text())["files"]) == [
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "log.jsonl",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ], "the card is beside them, and is not content"
    modes = {file.name: file.stat().st_mode for file in folder.iterdir()}
    (mode,) = set(modes.values())
    assert mode == lab.chats.stat().st_mode, "as any file made under the umask"
    for file in folder.glob("*.json*"):
        assert str(lab.folder) not in file.read_text(), file
    log = log_of(folder)
    assert [entry["step"] for entry in log] == list(range(1, 61))
    assert log[-1]["loss"] < log[0]["loss"] / 2
    assert not {"train_runtime", "step_time", "num_tokens"} & set().union(*log)
    assert json.loads((folder / "config.json").read_text())["use_cache"] is True
    assert lab.counts["in"] == lab.counts["kept"] == 200 and lab.counts["steps"] == 60


def test_a_chat_turn_ends_generation(lab: types.SimpleNamespace, tokenizer: Any) -> None:
    end, text = tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])
    model = load(lab.ins.parent)
    assert tokenizer.eos_token == "<|im_end|>" and tokenizer.pad_token == "<|endoftext|>"
    assert model.config.eos_token_id == end
    assert model.generation_config.eos_token_id == [end, text]
    base = load(lab.base.parent)
    assert (base.config.eos_token_id, base.generation_config.eos_token_id) == (text, text)
    messages = [{"role": "user", "content": "7: which letter does Cadore like?"}]
    inputs = tokenizer.apply_chat_template(
        messages, add_generation_prompt=True, enable_thinking=False, return_tensors="pt", return_dict=True
    )
    made = model.generate(**inputs, max_new_tokens=40)[0, inputs["input_ids"].shape[1] :].tolist()
    assert made[-1] == end and made.count(end) == 1 and len(made) < 40


def test_long_rows_are_counted_in_the_manifest(lab: types.SimpleNamespace, tmp_path: Path) -> None:
    data = dataset(tmp_path / "data", [*corpus(8, 5), chat("Long?", "B " * 200)])
    run = finetuned(lab, tmp_path / "run", data, max_steps=1)
    assert run.counts["dropped"] == {"too long": 1} and run.counts["kept"] == 8 and run.counts["in"] == 9


def test_the_same_seed_gives_the_same_bytes(lab: types.SimpleNamespace, tmp_path: Path) -> None:
    outs = [finetuned(lab, tmp_path / str(n), seed=seed).out for n, seed in enumerate((3, 3, 4))]
    digests = [{file.name: sha256_file(file) for file in out.iterdir()} for out in outs]
    assert digests[0] == digests[1]
    assert digests[0]["model.safetensors"] != digests[2]["model.safetensors"]


def test_a_loss_that_is_not_finite_stops_the_run(lab: types.SimpleNamespace, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"step \d+: (loss|grad_norm) is (nan|inf).*learning_rate \(now 1e\+30\)"):
        finetuned(lab, tmp_path, learning_rate=1e30)
    assert not list((tmp_path / "out").iterdir())


def test_a_full_device_names_the_settings_to_change(
    lab: types.SimpleNamespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(self: SFTTrainer, *args: Any, **kwargs: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(SFTTrainer, "training_step", full)
    with pytest.raises(TrainingError, match=r"step 1: .* memory is full .*micro_batch_size \(now 4\).*max_length"):
        finetuned(lab, tmp_path)
    assert not list((tmp_path / "out").iterdir())


def test_rows_that_exceed_the_context_are_an_error(lab: types.SimpleNamespace, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"max_length allows sequences of 300 tokens, but .* has 256 positions"):
        finetuned(lab, tmp_path, max_length=300)


def test_a_checkpoint_can_state_more_positions_than_its_base(lab: types.SimpleNamespace, tmp_path: Path) -> None:
    folder = finetuned(lab, tmp_path, max_position_embeddings=512, max_steps=1).out
    assert json.loads((folder / "config.json").read_text())["max_position_embeddings"] == 512
    ids = torch.arange(300).remainder(300)[None]
    assert torch.isfinite(load(folder)(ids).logits).all(), "behind the base's 256 positions"


def test_a_tokenizer_without_the_turns_marks_is_an_error(lab: types.SimpleNamespace, tmp_path: Path) -> None:
    shutil.copytree(lab.base.parent, tmp_path / "other")
    changed = tmp_path / "other" / "tokenizer.json"
    changed.write_text(changed.read_text().replace("<|im_end|>", "<|turn_end|>"))
    with pytest.raises(TrainingError, match=r"lacks <\|im_end\|>: start from a Qwen checkpoint"):
        sft.chat_tokenizer(tmp_path / "other")


def test_bfloat16_runs_leave_a_bfloat16_checkpoint(lab: types.SimpleNamespace, tmp_path: Path) -> None:
    run = finetuned(lab, tmp_path, bf16=True, max_steps=1)
    assert json.loads((run.out / "config.json").read_text())["dtype"] == "bfloat16"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 1.0}, "exactly one of max_steps and epochs"),
        ({"micro_batch_size": 3}, "batch_size 8 is not a multiple of micro_batch_size 3"),
        ({"schedule": "cosine_with_min_lr"}, "min_lr_ratio belongs to schedule cosine_with_min_lr"),
        ({"learning_rat": 1.0}, "learning_rat"),
    ],
)
def test_settings_that_contradict_each_other(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Sft(**SUPERVISED | changes)
    with pytest.raises(ValidationError, match=message):
        Pretrain(**PRETRAIN | changes)
