"""How far a verifying step is."""

from __future__ import annotations

import time


class Progress:
    """Says on standard output how far a step is, and when it will be done at its pace so far."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.started = total, 0, time.perf_counter()

    def add(self, prompts: int) -> None:
        """Count prompts in, and say so."""
        self.done += prompts
        seconds = time.perf_counter() - self.started
        left = max(0.0, seconds / self.done * (self.total - self.done))
        print(f"verified {self.done:,} of {self.total:,} prompts, {seconds:.0f} s, about {left:.0f} s left", flush=True)
