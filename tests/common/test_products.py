"""Products of a portable process: OpenBLAS's to the last bit, with everything else as PyTorch has it."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from scripts.common import numerics, products
from scripts.common.fingerprint import ROOT

SHAPES = [(64, 128, 96), (1, 128, 512), (300, 7, 1), (5, 0, 3), (0, 4, 3)]


@pytest.fixture(autouse=True, scope="module")
def _portable() -> None:
    assert products.use_openblas() is not None, "the tests' conftest makes their process portable"


def pair(rows: int, inner: int, columns: int) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(rows + inner + columns)
    return torch.randn(rows, inner, generator=draw), torch.randn(inner, columns, generator=draw)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_product_is_that_of_numpy(shape: tuple[int, int, int]) -> None:
    left, right = pair(*shape)
    expected = np.matmul(left.numpy(), right.numpy())
    for measured in (
        left @ right,
        torch.mm(left, right, out=torch.empty(0)),
        torch.nn.functional.linear(left, right.t()),
    ):
        assert measured.numpy().tobytes() == expected.tobytes()
    onto = torch.ones(shape[0], shape[2])
    assert torch.equal(onto.addmm_(left, right, alpha=0.5), 1 + 0.5 * torch.from_numpy(expected))


def test_transposed_and_strided_operands() -> None:
    left, right = pair(64, 128, 96)
    exact = left.double() @ right.double()
    for measured in (left.t().contiguous().t() @ right, torch.cat([left, left], 1)[:, :128] @ right):
        torch.testing.assert_close(measured.double(), exact, rtol=1e-4, atol=1e-4)
    out = torch.empty(96, 64).t()
    torch.testing.assert_close(torch.mm(left, right, out=out).double(), exact, rtol=1e-4, atol=1e-4)
    assert out.stride() == (1, 64)


def test_gradients_are_those_of_a_product() -> None:
    left, right = (value.requires_grad_() for value in pair(4, 8, 3))
    (left @ right).square().sum().backward()
    exact = 2 * (left.detach().double() @ right.detach().double())
    torch.testing.assert_close(left.grad.double(), exact @ right.detach().double().t(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(right.grad.double(), left.detach().double().t() @ exact, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.int64])
def test_other_dtypes_are_left_to_pytorch(dtype: torch.dtype) -> None:
    left, right = (torch.tensor(value, dtype=dtype) for value in ([[1, 2], [3, 4]], [[5, 6], [7, 8]]))
    expected = torch.tensor([[19, 22], [43, 50]], dtype=dtype)
    assert torch.equal(left @ right, expected)
    assert torch.equal(torch.mm(left, right, out=torch.empty(2, 2, dtype=dtype)), expected)
    assert torch.equal(torch.ones(2, 2, dtype=dtype).addmm_(left, right, beta=2), expected + 2)


def test_a_weighted_sum_is_left_to_pytorch() -> None:
    left, right = pair(4, 8, 3)
    measured = torch.full((4, 3), float("nan")).addmm_(left, right, beta=0, alpha=2)
    torch.testing.assert_close(measured, 2 * (left @ right))


def test_a_native_process_keeps_its_products() -> None:
    code = "from scripts.common import products; print(products.use_openblas())"
    bare = {name: value for name, value in os.environ.items() if name not in numerics.PORTABLE}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=bare, capture_output=True, text=True, check=True)
    assert done.stdout == "None\n"
