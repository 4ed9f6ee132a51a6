"""What a token costs a language model in FLOP, and how many a GPU does per second.

Plain arithmetic: the meter of a training and the estimates of a plan use the same formulas.
"""

from __future__ import annotations

PEAK_FLOPS = {"H100 PCIe": 756e12, "H100": 989e12, "H200": 989e12, "H800": 989e12, "A100": 312e12, "A800": 312e12}
"""Dense bf16 FLOP/s by a part of the GPU's name, from NVIDIA's data sheets; the first match counts."""


def forward_flops(parameters: float, layers: int, attention_width: int, context: float) -> float:
    """FLOP of one token's forward pass after `context` tokens: 2 N, and 4 L A c for attention's scores and values.

    N parameters, L layers, A heads times their dimension (PaLM, arXiv 2204.02311, appendix B, with causal attention).
    """
    return 2 * parameters + 4 * layers * attention_width * context


def training_flops(parameters: float, layers: int, attention_width: int, context: float) -> float:
    """FLOP of training on one token after `context` tokens: a forward pass, and a backward pass of two forward passes.

    What gradient checkpointing computes a second time does not count, so a utilisation by this figure is the model's
    (MFU), not the hardware's.
    """
    return 3 * forward_flops(parameters, layers, attention_width, context)


def peak_flops(gpu: str) -> float | None:
    """Peak FLOP/s of a GPU by its name; None for one that PEAK_FLOPS does not hold."""
    return next((peak for part, peak in PEAK_FLOPS.items() if part in gpu), None)
