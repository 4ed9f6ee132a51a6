"""Trainings on rollouts read no padding that a micro batch can do without, and lose nothing by it."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any

import pytest
import torch
from trl import GRPOTrainer

from scripts.train import grpo, opd, opd_trainer
from scripts.train.opd_trainer import MultiTeacherTrainer
from scripts.train.padding import used
from scripts.train.settings.grpo import GrpoStep
from scripts.train.settings.opd import OpdStep
from tests.train.lab import GRPO, OPD, a_run, chat, dataset, log_of

SAME = ("loss", "grad_norm", "entropy", "kl", "divergence/all")
STEPS = {"max_steps": 3, "micro_batch_size": 4}


def test_the_columns_that_a_row_uses() -> None:
    mask = torch.tensor([[0, 0, 0, 1, 1, 0], [0, 0, 1, 1, 0, 0]])
    assert used(mask) == slice(2, 5)
    assert used(mask[:1]) == slice(3, 5)
    assert used(torch.zeros_like(mask)) == slice(0, 1), "completions that all were cut and are masked"


@pytest.fixture(scope="module")
def prompts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One prompt in four is three times as long as the others."""
    rows = [
        chat(f"{n}: which letter? {'Say it. ' * (4 if n % 4 == 0 else 0)}", "", target="ABCD"[n % 4]) for n in range(24)
    ]
    prompts: list[Any] = [row | {"messages": row["messages"][:1]} for row in rows]
    return dataset(tmp_path_factory.mktemp("padding") / "prompts", prompts)


def reinforced(lab: types.SimpleNamespace, prompts: Path, folder: Path) -> list[dict[str, Any]]:
    settings = GrpoStep(training=GRPO | STEPS | {"beta": 0.1}, thinking=False, verify={})
    run = a_run(settings, folder, dataset=prompts, init=lab.ins)
    grpo.reinforce(run)
    return log_of(run.out)


def distilled(lab: types.SimpleNamespace, prompts: Path, folder: Path) -> list[dict[str, Any]]:
    run = a_run(
        OpdStep(training=OPD | STEPS, thinking=False),
        folder,
        names={"teachers": ["all"]},
        dataset=prompts,
        init=lab.ins,
        teachers=[lab.base],
    )
    opd.distill(run)
    return log_of(run.out)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """The masks of prompts and completions of each forward pass of a training."""
    masks: list[tuple[torch.Tensor, torch.Tensor]] = []
    scored, hidden = GRPOTrainer._get_per_token_logps_and_entropies, MultiTeacherTrainer._hidden

    def score(
        self: GRPOTrainer, model: Any, ids: Any, mask: torch.Tensor, kept: int, *rest: Any, **options: Any
    ) -> Any:
        masks.append((mask[:, :-kept], mask[:, -kept:]))
        return scored(self, model, ids, mask, kept, *rest, **options)

    def states(self: MultiTeacherTrainer, model: Any, inputs: dict[str, Any]) -> Any:
        masks.append((inputs["prompt_mask"], inputs["completion_mask"]))
        return hidden(self, model, inputs)

    monkeypatch.setattr(GRPOTrainer, "_get_per_token_logps_and_entropies", score)
    monkeypatch.setattr(MultiTeacherTrainer, "_hidden", states)
    return masks


@pytest.mark.parametrize(("trained", "module"), [(reinforced, grpo), (distilled, opd_trainer)], ids=["grpo", "opd"])
def test_fewer_tokens_are_read_and_the_same_is_learned(
    lab: types.SimpleNamespace,
    prompts: Path,
    read: list[tuple[torch.Tensor, torch.Tensor]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    trained: Any,
    module: types.ModuleType,
) -> None:
    cut = trained(lab, prompts, tmp_path / "cut")
    for prompt, completion in read:
        assert prompt[:, 0].any() and completion[:, -1].any(), "both ends belong to a row"
    tokens = sum(mask.numel() for pair in read for mask in pair)
    read.clear()
    monkeypatch.setattr(module, "used", lambda mask: slice(0, mask.size(1)))
    whole = trained(lab, prompts, tmp_path / "whole")
    assert tokens < 0.9 * sum(mask.numel() for pair in read for mask in pair)
    for one, other in zip(cut, whole, strict=True):
        names = [name for name in SAME if name in other]
        assert len(names) == 4
        assert [one[name] for name in names] == pytest.approx([other[name] for name in names], rel=1e-3, abs=1e-6)
