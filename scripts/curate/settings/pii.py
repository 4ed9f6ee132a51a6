"""Settings of `scripts.curate.pii`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from scripts.common.settings import Settings


class Pii(Settings):
    """No e-mail address and no public IP address in prompt or response, as DataTrove's PIIFormatter finds them."""

    step: Literal["pii"]
    placeholder_domains: tuple[str, ...] = Field(
        default=("example.com", "example.net", "example.org"),
        min_length=1,
        description="e-mail domains that are nobody's: RFC 2606, section 3",
    )
    reserved_names: tuple[str, ...] = Field(
        default=("test", "example", "invalid", "localhost"),
        min_length=1,
        description="top-level names that are nobody's: RFC 2606, section 2",
    )
