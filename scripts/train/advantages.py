"""The spread of a group's rewards, by which GRPO divides its advantages, with the same bytes on every CPU.

TRL's `nanstd` ends with `torch.sqrt`. On a CPU that is MKL's, which is not correctly rounded: which of its results are
off by an ulp depends on the CPU, whatever the environment says (`scripts.common.numerics`).
"""

from __future__ import annotations

import torch
from torch import Tensor
from trl.trainer import grpo_trainer

Dimensions = int | tuple[int, ...] | None


def nanstd(tensor: Tensor, dim: Dimensions = None, keepdim: bool = False) -> Tensor:
    """Sample standard deviation of the values that are numbers, NaN for fewer than two, as `trl.trainer.utils.nanstd`.

    Computed in float64 and then rounded to the tensor's dtype, which hides the roundings of 1 / rsqrt.
    """
    values = tensor.double()
    count = (~values.isnan()).sum(dim, keepdim=True)
    squares = (values - values.nanmean(dim, keepdim=True)).square().nansum(dim, keepdim=True)
    deviation = torch.where(count > 1, squares / (count - 1), torch.nan).rsqrt().reciprocal().to(tensor.dtype)
    if keepdim:
        return deviation
    return deviation.squeeze() if dim is None else deviation.squeeze(dim)


def make_portable() -> None:
    """Let TRL's GRPOTrainer compute its advantages, and the spreads that it logs, by `nanstd` of this module."""
    grpo_trainer.nanstd = nanstd
