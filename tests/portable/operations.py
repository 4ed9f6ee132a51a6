"""What the pipeline computes with, operation by operation: digests that must be the same on every x86-64 CPU.

    python -m tests.portable.operations        prints a JSON object, {operation: digest}

An operation of PyTorch is either in `EXACT`, because each of its results is one rounding of one exact value, a copy or
a comparison, or it is computed here, on shapes that reach the vector kernels and their tails. Left out are the
operations that differ between CPUs whatever the environment says (measured with torch 2.13 and MKL 2024.2):

    sqrt, pow with exponent 0.5, _foreach_sqrt, AdamW unless fused, cdist, acos, asin, atan; log and tan in float64

tests/train/test_operations.py fails if a step calls an operation that is in neither list.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from scripts.common import products

ONE_ROUNDING = """
__and__ __ior__ _foreach_add_ _foreach_mul_ _local_scalar_dense _to_copy _unsafe_view abs add add_ alias all amax any
arange argmax bincount bitwise_and bitwise_and_ bitwise_not bitwise_or bitwise_or_ cat clamp clamp_min clone
constant_pad_nd contiguous copy_ detach detach_ div embedding empty empty_like eq expand expand_as fill_ flatten full
gather ge gt index index_put index_put_ index_select is_nonzero isin isnan item le lift_fresh logical_and_
logical_not_ lt masked_fill masked_fill_ max maximum min minimum mul mul_ nan_to_num ne neg new_empty new_ones
new_zeros nonzero ones ones_like random_ randperm reciprocal repeat_interleave reshape resolve_conj resolve_neg rsub
scalar_tensor scatter_ searchsorted select slice slice_backward split split_with_sizes squeeze stack sub sub_ t to
topk transpose unbind unsqueeze view where zero_ zeros zeros_like
"""
EXACT = frozenset(ONE_ROUNDING.split())
SHAPES = [(1, 64, 128), (3, 7, 5), (16, 128, 512), (64, 512, 64), (257, 33, 65), (512, 128, 256)]
"""Of matrix products: rows, inner size, columns."""


def uniform(*shape: int, low: float = -4.0, high: float = 4.0, seed: int = 0) -> Tensor:
    """Float32 values that no CPU and no library computes otherwise."""
    return torch.from_numpy(np.random.RandomState(seed).uniform(low, high, shape).astype(np.float32))


def elementwise() -> Iterator[tuple[str, Callable[[], Any]]]:
    """Functions of one value, in both widths, on whole vectors, on their tails and on strided memory."""
    whole = uniform(64, 515)
    inputs = [whole, whole.double(), whole.flatten()[:7].clone(), whole.t()[:, ::2]]
    positive = [value.abs() + 1e-6 for value in inputs]
    for name in ("cos", "erf", "exp", "sigmoid", "sin", "square", "tanh"):
        yield name, lambda name=name: [getattr(torch, name)(value) for value in inputs]
    yield "log", lambda: [value.log() for value in positive if value.dtype == torch.float32]
    for name in ("log1p", "rsqrt"):
        yield name, lambda name=name: [getattr(torch, name)(value) for value in positive]
    for name in ("gelu", "silu", "softplus"):
        yield name, lambda name=name: [getattr(functional, name)(value) for value in inputs]
    yield "silu_backward", lambda: [torch.ops.aten.silu_backward(value, value + 1) for value in inputs]
    yield "pow", lambda: [*(value**2 for value in inputs), *(10000.0**value for value in inputs), positive[0] ** whole]


def reductions() -> Iterator[tuple[str, Callable[[], Any]]]:
    """Sums in every direction, and what is made of them."""
    whole = uniform(64, 515)
    for name in ("cumsum", "logsumexp", "mean", "nansum", "nanmean", "std", "sum", "var"):
        yield name, lambda name=name: [getattr(torch, name)(whole, dim=dim) for dim in (0, 1)]
    for name in ("_log_softmax", "_softmax"):
        yield name, lambda name=name: [getattr(torch, name)(whole, dim, False) for dim in (0, 1)]
    for name in ("log_softmax", "softmax"):
        yield name, lambda name=name: [getattr(torch, name)(value, -1) for value in (whole, whole.double())]
    yield "sum of all", lambda: [whole.sum(), whole.mean(), whole.std()]
    yield "linalg_vector_norm", lambda: [torch.linalg.vector_norm(whole, dim=dim) for dim in (None, 0, 1)]
    yield "_foreach_norm", lambda: torch._foreach_norm([whole, whole[0], whole[:, 0]])
    yield "cross_entropy", lambda: [functional.cross_entropy(whole, torch.arange(64))]
    yield "rms_norm", lambda: [functional.rms_norm(whole, (515,), whole[0])]


def multiplications() -> Iterator[tuple[str, Callable[[], Any]]]:
    """Matrix products and attention, forwards and backwards."""
    pairs = [(uniform(m, k, seed=1), uniform(k, n, seed=2)) for m, k, n in SHAPES]
    turned = [(left, right.t().contiguous()) for left, right in pairs]
    batch = uniform(12, 40, 32), uniform(12, 32, 40), uniform(12, 40, 40)
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        yield f"mm in {dtype}", lambda dtype=dtype: [left.to(dtype) @ right.to(dtype) for left, right in pairs]
    yield "mm", lambda: [left @ right.t() for left, right in turned]
    yield "linear", lambda: [functional.linear(left, right) for left, right in turned]
    yield "addmm_", lambda: [torch.zeros(len(a), b.size(1)).addmm_(a, b, alpha=0.3) for a, b in pairs]
    yield "mm by MKL", lambda: [torch.addmm(torch.zeros(a.size(0), b.size(1)), a, b) for a, b in pairs]
    yield "mv", lambda: [left @ right[:, 0] for left, right in pairs]
    yield "bmm", lambda: [batch[0] @ batch[1], torch.baddbmm(batch[2], batch[0], batch[1])]
    yield "scaled_dot_product_attention", lambda: [attention(40, 40), attention(1, 40)]
    yield "_scaled_dot_product_flash_attention_for_cpu", lambda: [attention(40, 40, causal=True)]
    yield "_scaled_dot_product_flash_attention_for_cpu_backward", attention_gradients


def attention(queries: int, keys: int, causal: bool = False) -> Tensor:
    """Attention of 2 rows and 4 heads over keys and values of 32 numbers, with a mask if it is not causal."""
    query, key, value = uniform(2, 4, queries, 32), uniform(2, 4, keys, 32, seed=1), uniform(2, 4, keys, 32, seed=2)
    mask = None if causal else uniform(2, 1, queries, keys) > 0
    return functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=causal)


def attention_gradients() -> list[Tensor]:
    """Gradients of a causal attention with respect to queries, keys and values."""
    inputs = [uniform(2, 4, 40, 32, seed=seed).requires_grad_() for seed in range(3)]
    functional.scaled_dot_product_attention(*inputs, is_causal=True).square().sum().backward()
    return [value.grad for value in inputs if value.grad is not None]


def updates() -> Iterator[tuple[str, Callable[[], Any]]]:
    """Optimizer, accumulation into rows, and random numbers."""
    rows, whole = torch.arange(64) % 8, uniform(64, 515)
    yield "_fused_adamw_", lambda: [adamw(whole)]
    yield "embedding_dense_backward", lambda: [torch.ops.aten.embedding_dense_backward(whole, rows, 8, -1, False)]
    yield "index_add_", lambda: [torch.zeros(8, 515).index_add_(0, rows, whole)]
    for name in ("exponential_", "normal_", "uniform_"):
        yield name, lambda name=name: [drawn(name, size) for size in (7, 1000)]
    yield "multinomial", lambda: [seeded().multinomial(whole.softmax(-1), 4)]


def seeded() -> Any:
    """PyTorch with its generator at its start."""
    torch.manual_seed(1)
    return torch


def drawn(name: str, size: int) -> Tensor:
    """`size` random numbers of a distribution."""
    return getattr(seeded().empty(size), name)()


def adamw(gradient: Tensor) -> Tensor:
    """A weight after three updates, as Trainer makes them."""
    weight = gradient.clone().requires_grad_()
    optimizer = torch.optim.AdamW([weight], lr=1e-3, weight_decay=0.1, fused=True)
    for _ in range(3):
        weight.grad = gradient * weight.detach()
        optimizer.step()
    return weight


def arrays() -> Iterator[tuple[str, Callable[[], Any]]]:
    """What selection computes with NumPy and scikit-learn."""
    values = np.abs(uniform(60, 100).numpy().astype(np.float64)) + 0.01
    for name in ("exp", "log", "log1p", "sqrt"):
        yield (
            f"numpy {name}",
            lambda name=name: [getattr(np, name)(values), getattr(np, name)(values.astype(np.float32))],
        )
    yield "numpy dot", lambda: [values @ values.T, values.astype(np.float32) @ values.astype(np.float32).T]
    yield "numpy sum", lambda: [values.sum(0), values.sum(1), np.einsum("ij,ij->i", values, values)]
    yield "numpy qr", lambda: list(np.linalg.qr(values))
    yield "KMeans", lambda: clusters(values)


def clusters(values: np.ndarray[Any, Any]) -> list[Any]:
    """Centres and labels of scikit-learn's clusters, and a truncated SVD."""
    from sklearn.cluster import KMeans
    from sklearn.decomposition import TruncatedSVD

    found = KMeans(5, n_init=1, random_state=0).fit(values)
    return [found.cluster_centers_, found.labels_, TruncatedSVD(8, random_state=0).fit_transform(values)]


def every() -> Iterator[tuple[str, Callable[[], Any]]]:
    """All operations that are measured."""
    for group in (elementwise, reductions, multiplications, updates, arrays):
        yield from group()


MEASURED = frozenset(name for name, _ in every())


def digest(results: Iterable[Any]) -> str:
    """Of the bytes of tensors and arrays."""
    sha = hashlib.sha256()
    for result in results:
        if isinstance(result, Tensor):
            result = result.detach().reshape(-1).view(torch.uint8).numpy()
        sha.update(np.ascontiguousarray(result).tobytes())
    return sha.hexdigest()[:16]


def main() -> None:
    """Print the digest of each operation."""
    torch.set_num_threads(1)
    products.use_openblas()
    print(json.dumps({name: digest(compute()) for name, compute in every()}))


if __name__ == "__main__":
    main()
