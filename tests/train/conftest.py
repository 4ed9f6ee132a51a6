"""A small tokenizer and models made by the steps themselves: built once for all tests of training."""

from __future__ import annotations

import types
from typing import Any

import pytest
import torch

from scripts.common.chat.rendering import load_tokenizer
from scripts.train import pretrain, sft, start
from scripts.train.settings.pretrain import PretrainStep
from scripts.train.settings.sft import SftStep
from tests.train.lab import PRETRAIN, SUPERVISED, a_run, corpus, dataset, finished


@pytest.fixture(scope="session", autouse=True)
def _process() -> None:
    start.ready()
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> types.SimpleNamespace:
    """Data sets `chats` and `prompts`, a pretrained nano `base` and a fine-tuned nano `ins`, as manifests."""
    folder = tmp_path_factory.mktemp("lab")
    chats = dataset(folder / "chats", corpus(200, 0))
    prompts = dataset(folder / "prompts", [row | {"messages": row["messages"][:1]} for row in corpus(64, 1)])
    run = a_run(PretrainStep(training=PRETRAIN), folder / "base", dataset=chats)
    pretrain.pretrain(run)
    base = finished(run.out)
    run = a_run(SftStep(training=SUPERVISED | {"max_steps": 60}), folder / "ins", dataset=chats, init=base)
    sft.finetune(run)
    return types.SimpleNamespace(
        folder=folder, chats=chats, prompts=prompts, base=base, ins=finished(run.out), counts=run.counts
    )


@pytest.fixture(scope="session")
def tokenizer(lab: types.SimpleNamespace) -> Any:
    return load_tokenizer(lab.ins.parent)
