"""One pool of two workers for the tests that need no limits of their own: a worker takes a second to warm up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from scripts.verify import VerifierPool


@pytest.fixture(scope="session")
def pool() -> Iterator[VerifierPool]:
    with VerifierPool(workers=2) as pool:
        yield pool
