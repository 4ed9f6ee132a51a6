"""Whether the numbers of a job depend on the kind of CPU it runs on: the configuration's `numerics`.

    native      every library takes the fastest kernels that this CPU has
    portable    every library takes kernels that give the same bytes on every x86-64 CPU with AVX2 and FMA

Libraries choose their kernels when they are loaded, by variables of the environment. They are all here. The shell
prefix of every rule sets them (`rules/common.smk`), the first line of a job's log states them, so that it repeats the
job by hand, and the tests' conftest sets them for the tests. What each one is for was measured operation by operation
under emulation (docs/architecture.md, Portable numerics).

A few operations depend on the CPU whatever is set, `torch.sqrt` before all: tests/portable lists them and fails if a
training or a generation calls one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Literal

Numerics = Literal["native", "portable"]

EVERYWHERE = {
    "OMP_NUM_THREADS": "1",  # a sum that several threads share is another sum
    "PYTHONHASHSEED": "0",  # the order of sets
}
"""What every job runs with."""
PORTABLE = {
    "ATEN_CPU_CAPABILITY": "avx2",  # PyTorch's own kernels: sums, softmax, attention
    "MKL_CBWR": "COMPATIBLE",  # PyTorch's matrix products: under every other value AMD and Intel differ
    "ONEDNN_MAX_CPU_ISA": "AVX2",  # PyTorch's products in bfloat16
    "OPENBLAS_CORETYPE": "Haswell",  # products of NumPy, SciPy and scikit-learn
    "NPY_DISABLE_CPU_FEATURES": "X86_V4,AVX512_ICL,AVX512_SPR",  # NumPy's exp, log and power
}
"""What a job runs with besides if its numerics are portable."""
DEPENDENT = frozenset({"sklearn", "torch"})
"""Packages whose results depend on the CPU. A job whose code imports none of them gives the same bytes anyway."""


def variables(numerics: str | None) -> dict[str, str]:
    """The environment's variables for a job; None is a job whose recipe says nothing of numerics."""
    return EVERYWHERE | (PORTABLE if numerics == "portable" else {})


def unset(numerics: str | None, environment: Mapping[str, str] = os.environ) -> list[str]:
    """Variables that portable numerics need and that this process was started without; none for other numerics."""
    if numerics != "portable":
        return []
    return [name for name, value in variables(numerics).items() if environment.get(name) != value]
