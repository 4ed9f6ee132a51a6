"""Measure the parts of the cluster's tests."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def phase(name: str) -> Iterator[None]:
    """Print the seconds that the block took."""
    started = time.monotonic()
    yield
    print(f"\n{name}: {time.monotonic() - started:.0f} s", flush=True)
