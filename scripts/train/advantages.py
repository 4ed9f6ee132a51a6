"""The spread of a group's rewards, with the same bytes on every CPU.

TRL's `nanstd` ends with `torch.sqrt`, which is MKL's on a CPU: it is not correctly rounded, and which values are off by
an ulp depends on the CPU, whatever the environment says (`scripts.common.numerics`). The advantages are divided by it.
"""

from __future__ import annotations

from torch import Tensor
from trl.trainer import grpo_trainer
from trl.trainer.utils import nanstd


def portable_nanstd(tensor: Tensor, dim: int | tuple[int, ...] | None = None, keepdim: bool = False) -> Tensor:
    """TRL's `nanstd`, computed in float64: an ulp there is lost when the result is rounded to the tensor's dtype."""
    return nanstd(tensor.double(), dim, keepdim).to(tensor.dtype)


def make_portable() -> None:
    """Let TRL's GRPOTrainer compute its advantages, and the spreads that it logs, by `portable_nanstd`."""
    grpo_trainer.nanstd = portable_nanstd
