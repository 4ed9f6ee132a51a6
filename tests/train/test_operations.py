"""No training, generation or encoding calls an operation of PyTorch whose last bit may depend on the CPU.

tests/portable/operations.py lists the operations that are the same on every CPU under portable numerics. A new version
of a library that brings another one into a step fails here, on any machine and without emulation.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from scripts.common.settings import Engine, Sampling
from scripts.generation.prompts import Prompt
from scripts.generation.transformers_engine import TransformersEngine
from scripts.mix.encode import Encoder
from scripts.train import grpo, opd, pretrain, sft
from scripts.train.settings.grpo import GrpoStep
from scripts.train.settings.opd import OpdStep
from scripts.train.settings.pretrain import PretrainStep
from scripts.train.settings.sft import SftStep
from tests.portable.operations import EXACT, MEASURED
from tests.train.lab import GRPO, OPD, PRETRAIN, SUPERVISED, a_run

ENGINE = Engine(kind="transformers", dtype="float32")
TWO_STEPS = {"max_steps": 2}
Lab = types.SimpleNamespace


class Operations(TorchDispatchMode):
    """Records the names of all operations that are called, those of backward passes and optimizers included."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, kinds: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.namespace == "aten":
            self.names.add(name_of(func, args))
        return func(*args, **(kwargs or {}))


def name_of(func: Any, args: Any) -> str:
    """The operation as operations.py names it; two depend on the CPU for some of their arguments alone."""
    if func is torch.ops.aten.pow.Tensor_Scalar and args[1] == 0.5:
        return "pow with exponent 0.5"
    if func is torch.ops.aten.log.default and args[0].dtype == torch.float64:
        return "log in float64"
    return func.overloadpacket.__name__


def pretrained(lab: Lab, folder: Path) -> None:
    pretrain.pretrain(a_run(PretrainStep(training=PRETRAIN | TWO_STEPS), folder, dataset=lab.chats))


def fine_tuned(lab: Lab, folder: Path, **changes: Any) -> None:
    settings = SftStep(training=SUPERVISED | TWO_STEPS | changes)
    sft.finetune(a_run(settings, folder, dataset=lab.chats, init=lab.base))


def fine_tuned_on_packed_rows(lab: Lab, folder: Path) -> None:
    fine_tuned(lab, folder, packing=True, micro_batch_size=1)


def reinforced(lab: Lab, folder: Path, **changes: Any) -> None:
    settings = GrpoStep(training=GRPO | TWO_STEPS | changes, thinking=False, verify={})
    grpo.reinforce(a_run(settings, folder, dataset=lab.prompts, init=lab.ins))


def reinforced_close_to_the_start(lab: Lab, folder: Path) -> None:
    reinforced(lab, folder, beta=0.1, scale_rewards="batch")


def distilled(lab: Lab, folder: Path, **changes: Any) -> None:
    run = a_run(
        OpdStep(training=OPD | TWO_STEPS | changes, thinking=False),
        folder,
        names={"teachers": ["all"]},
        dataset=lab.prompts,
        init=lab.ins,
        teachers=lab.base,
    )
    opd.distill(run)


def distilled_by_sampled_tokens(lab: Lab, folder: Path) -> None:
    distilled(lab, folder, estimate="sampled-token")


def generated(lab: Lab, folder: Path) -> None:
    engine = TransformersEngine(lab.ins.parent, ENGINE)
    prompts = [Prompt(text, tuple(engine.tokenizer(text)["input_ids"])) for text in ("one", "another one")]
    for sampling in (
        Sampling(temperature=0.7, top_p=0.8, top_k=20, max_tokens=6),
        Sampling(temperature=0, max_tokens=6),
    ):
        engine.complete(prompts, sampling, 3, 1)


def encoded(lab: Lab, folder: Path) -> None:
    Encoder(lab.ins.parent, ENGINE)(["one", "another one"])


@pytest.mark.parametrize(
    "work",
    [
        pretrained,
        fine_tuned,
        fine_tuned_on_packed_rows,
        reinforced,
        reinforced_close_to_the_start,
        distilled,
        distilled_by_sampled_tokens,
        generated,
        encoded,
    ],
)
def test_every_operation_is_the_same_on_every_cpu(lab: Lab, tmp_path: Path, work: Callable[[Lab, Path], None]) -> None:
    with Operations() as called:
        work(lab, tmp_path)
    unknown = called.names - EXACT - MEASURED
    assert not unknown, (
        f"measure {sorted(unknown)} in tests/portable/operations.py, or keep them out of {work.__name__}"
    )
    assert called.names & MEASURED


@pytest.mark.parametrize(
    ("operation", "name"),
    [
        (lambda value: value.sqrt(), "sqrt"),
        (lambda value: value**0.5, "pow with exponent 0.5"),
        (lambda value: value.double().log(), "log in float64"),
        (lambda value: torch._foreach_sqrt([value]), "_foreach_sqrt"),
        (lambda value: torch.nn.Linear(2, 2)(value).sqrt().sum().backward(), "sqrt"),
    ],
)
def test_what_depends_on_the_cpu_is_seen(operation: Callable[[torch.Tensor], Any], name: str) -> None:
    with Operations() as called:
        operation(torch.ones(2))
    assert name in called.names - EXACT - MEASURED
