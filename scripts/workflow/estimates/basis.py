"""The basis of all estimates: the configuration, the assumptions, and the type of a result."""

from __future__ import annotations

from dataclasses import dataclass

from scripts.common.flops import PEAK_FLOPS
from scripts.workflow.config import Config

GB = 1e9


@dataclass(frozen=True)
class Cost:
    """An estimate of one job. Hours are device hours: eight GPUs for one hour are 8 GPU hours."""

    gpu_hours: float = 0.0
    cpu_hours: float = 0.0
    disk_bytes: float = 0.0
    download_bytes: float = 0.0
    basis: str = ""


@dataclass(frozen=True)
class Assumptions:
    """The assumptions of the formulas; replace a value once it has been measured."""

    peak_flops: float = PEAK_FLOPS["H100"]
    """Dense bf16 FLOP/s of one GPU: H100 SXM."""
    training_mfu: float = 0.40
    """Model FLOP utilisation of training; the goal of docs/performance.md is 0.50."""
    decoding_mfu: float = 0.10
    """Model FLOP utilisation of vLLM with hundreds of short sequences: about 5,000 tokens/s per GPU for 8B."""
    long_decoding_mfu: float = 0.05
    """The same with thinking: the key-value cache has room for fewer sequences at a time."""
    start_minutes: float = 5.0
    """Time to load and compile a model, once per job that has one."""
    prompt_tokens: int = 250
    response_tokens: int = 700
    """Mean length of an answer without thinking."""
    thinking_tokens: int = 6500
    """Mean length of an answer with thinking; AIME's are twice as long, IFEval's a third as long."""
    kept: float = 0.8
    """Share of the raw rows that curation keeps."""
    record_bytes: int = 3000
    """Size of a record without thinking in compressed Parquet."""
    token_bytes: float = 1.5
    """Size of a generated token's text in compressed Parquet."""
    checkpoint_bytes: int = 16
    """Bytes per parameter of a checkpoint to resume from: weights, two moments, a master copy."""
    verify_ms: float = 15.0
    """CPU time of one verdict: math-verify's mean, 13 to 17 ms measured."""


ASSUMPTIONS = Assumptions()


@dataclass(frozen=True)
class Basis:
    """A configuration, and the assumptions under which the cost of its jobs is estimated."""

    config: Config
    assumed: Assumptions = ASSUMPTIONS

    def answer_tokens(self, thinking: bool, limit: int) -> int:
        """Mean tokens of an answer."""
        return min(limit, self.assumed.thinking_tokens if thinking else self.assumed.response_tokens)
