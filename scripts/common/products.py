"""Matrix products of PyTorch by OpenBLAS in a process with portable numerics (`scripts.common.numerics`).

MKL gives AMD and Intel CPUs the same bytes only with its kernels from before AVX, which take 2.7 times as long as its
best ones. NumPy brings OpenBLAS, whose kernels for AVX2 are as fast as MKL's best and, once `OPENBLAS_CORETYPE` names
them, the same on CPUs of every maker. Attention and products of other dtypes than float32 stay with MKL.
"""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scripts.common import numerics

FLOAT32 = torch.float32


@cache
def use_openblas() -> torch.library.Library | None:
    """Take OpenBLAS for float32 products on the CPU from now on, in this process; None if its numerics are native.

    The registration lasts as long as the object that is returned, which the cache keeps.
    """
    if numerics.unset("portable"):
        return None
    library = torch.library.Library("aten", "IMPL")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Warning only once for all operators")  # overriding is the purpose
        for name, kernel in (("mm", _Product), ("mm.out", _ProductInto), ("addmm_", _ProductOnto)):
            library.impl(name, kernel(torch.library.get_kernel(f"aten::{name}", "CPU")), "CPU", with_keyset=True)
    return library


def product(left: Tensor, right: Tensor) -> Tensor:
    """The float32 product of (m, k) and (k, n)."""
    return torch.from_numpy(np.matmul(left.detach().numpy(), right.detach().numpy()))


class _Kernel:
    """A kernel of the dispatcher that leaves what it does not compute to the one before it."""

    def __init__(self, before: Any) -> None:
        self.before = before


class _Product(_Kernel):
    def __call__(self, keys: Any, left: Tensor, right: Tensor) -> Tensor:
        if left.dtype != FLOAT32:
            return self.before.call_boxed(keys, left, right)
        return product(left, right)


class _ProductInto(_Kernel):
    def __call__(self, keys: Any, left: Tensor, right: Tensor, *, out: Tensor) -> Tensor:
        if left.dtype != FLOAT32:
            return self.before.call_boxed(keys, left, right, out=out)
        return out.resize_(len(left), right.size(1)).copy_(product(left, right))


class _ProductOnto(_Kernel):
    def __call__(
        self, keys: Any, onto: Tensor, left: Tensor, right: Tensor, *, beta: float = 1, alpha: float = 1
    ) -> Tensor:
        if left.dtype != FLOAT32 or beta != 1:
            return self.before.call_boxed(keys, onto, left, right, beta=beta, alpha=alpha)
        return onto.add_(product(left, right), alpha=alpha)
