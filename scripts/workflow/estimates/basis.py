"""What all estimates rest on: the configuration, the assumptions, and the form of a result."""

from __future__ import annotations

from dataclasses import dataclass

from scripts.common.flops import PEAK_FLOPS
from scripts.workflow.config import Config

GB = 1e9


@dataclass(frozen=True)
class Cost:
    """An estimate of one job. Hours are device hours: eight GPUs for an hour are eight."""

    gpu_hours: float = 0.0
    cpu_hours: float = 0.0
    disk_bytes: float = 0.0
    download_bytes: float = 0.0
    basis: str = ""


@dataclass(frozen=True)
class Assumptions:
    """What the formulas assume; replace a value once it has been measured."""

    peak_flops: float = PEAK_FLOPS["H100"]
    """Dense bf16 FLOP/s of one GPU: H100 SXM."""
    training_mfu: float = 0.40
    """Model FLOP utilisation of training; the goal of docs/performance.md is 0.50."""
    decoding_mfu: float = 0.10
    """Of vLLM with hundreds of short sequences: some 5,000 tokens/s and GPU for 8B."""
    long_decoding_mfu: float = 0.05
    """The same with thinking: the key-value cache leaves room for fewer sequences at a time."""
    start_minutes: float = 5.0
    """Loading a model and compiling, for each job that has one."""
    prompt_tokens: int = 250
    response_tokens: int = 700
    """Mean answer without thinking."""
    thinking_tokens: int = 6500
    """Mean answer with thinking; AIME's are twice as long, IFEval's a third."""
    kept: float = 0.8
    """Share of the raw rows that curation keeps, if no manifest says it yet."""
    record_bytes: int = 3000
    """A record without thinking in compressed Parquet."""
    token_bytes: float = 1.5
    """A generated token's text in compressed Parquet."""
    checkpoint_bytes: int = 16
    """A parameter in the checkpoint that a running training resumes from: weights, two moments, a master copy."""
    verify_ms: float = 15.0
    """CPU time of one verdict: math-verify's mean, 13 to 17 ms measured."""


ASSUMPTIONS = Assumptions()


@dataclass(frozen=True)
class Basis:
    """A configuration, and the assumptions under which its jobs are priced."""

    config: Config
    assumed: Assumptions = ASSUMPTIONS

    def answer_tokens(self, thinking: bool, limit: int) -> int:
        """Mean tokens of an answer."""
        return min(limit, self.assumed.thinking_tokens if thinking else self.assumed.response_tokens)
