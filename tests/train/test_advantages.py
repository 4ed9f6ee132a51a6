"""The spread of rewards: right to the last bit, and TRL's wherever TRL is right."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
import pytest
import torch
from trl.trainer import utils

from scripts.train.advantages import nanstd


@pytest.mark.parametrize("size", range(2, 33))
def test_a_groups_spread_is_the_exact_one_rounded_once(size: int) -> None:
    """Rewards 0 and 1, `ones` of them 1: the variance is ones (size - ones) / (size (size - 1))."""
    rewards = torch.tensor([[1.0] * ones + [0.0] * (size - ones) for ones in range(size + 1)])
    with localcontext(prec=50):
        exact = [(Decimal(ones * (size - ones)) / (size * (size - 1))).sqrt() for ones in range(size + 1)]
    assert nanstd(rewards, dim=1).tolist() == [float(np.float32(str(root))) for root in exact]


NAN = float("nan")


@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("dim", [None, 0, 1, (0, 1)])
def test_shapes_and_values_are_those_of_trl(dim: int | tuple[int, ...] | None, keepdim: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    rewards = torch.randn(6, 8, generator=generator)
    rewards[0, :3] = rewards[1, 1:] = rewards[2] = NAN
    expected, measured = utils.nanstd(rewards, dim, keepdim), nanstd(rewards, dim, keepdim)
    torch.testing.assert_close(measured, expected, rtol=3e-7, atol=0, equal_nan=True)
    assert measured.dtype == torch.float32


def test_one_reward_has_no_spread() -> None:
    assert nanstd(torch.tensor([NAN, 2.0])).isnan() and nanstd(torch.tensor([NAN, NAN])).isnan()
    assert nanstd(torch.tensor([2.0, 2.0])) == 0
