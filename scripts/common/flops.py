"""FLOP per token of a language model, and peak FLOP/s per GPU.

The meter of a training and the estimates of a plan use the same formulas.
"""

from __future__ import annotations

PEAK_FLOPS = {"H100 PCIe": 756e12, "H100": 989e12, "H200": 989e12, "H800": 989e12, "A100": 312e12, "A800": 312e12}
"""Part of a GPU's name to its peak dense bf16 FLOP/s, from NVIDIA's data sheets; the first match counts."""


def forward_flops(parameters: float, layers: int, attention_width: int, context: float) -> float:
    """FLOP of one token's forward pass after c = `context` tokens: 2 N + 4 L A c, the second term for attention.

    N is the number of parameters, L of layers, A the number of heads times their dimension (PaLM, arXiv 2204.02311,
    appendix B, with causal attention).
    """
    return 2 * parameters + 4 * layers * attention_width * context


def training_flops(parameters: float, layers: int, attention_width: int, context: float) -> float:
    """FLOP of training on one token after `context` tokens: a forward pass, and a backward pass that costs two.

    Activations that gradient checkpointing computes a second time do not count, so dividing by this figure gives model
    FLOP utilisation (MFU), not hardware utilisation.
    """
    return 3 * forward_flops(parameters, layers, attention_width, context)


def peak_flops(gpu: str) -> float | None:
    """Peak FLOP/s of a GPU by its name; None if PEAK_FLOPS does not list it."""
    return next((peak for part, peak in PEAK_FLOPS.items() if part in gpu), None)
