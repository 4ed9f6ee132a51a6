"""Progress lines of the steps that verify."""

from __future__ import annotations

import time


class Progress:
    """Prints the prompts verified so far, and the seconds left if the rate so far holds."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.started = total, 0, time.perf_counter()

    def add(self, prompts: int) -> None:
        """Count further prompts and print the progress."""
        self.done += prompts
        seconds = time.perf_counter() - self.started
        left = max(0.0, seconds / self.done * (self.total - self.done))
        print(f"verified {self.done:,} of {self.total:,} prompts, {seconds:.0f} s, about {left:.0f} s left", flush=True)
