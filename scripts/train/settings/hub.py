"""Settings of `kind: hub`, a downloaded checkpoint."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from scripts.common.settings import Settings


class HubModel(Settings):
    """A checkpoint of the hub, pinned to a commit. Also the recipe settings of `scripts.train.hub`."""

    kind: Literal["hub"]
    repository: str = Field(description="owner/name")
    revision: str = Field(pattern=r"^[0-9a-f]{40}$", description="40 hex digits, never a branch")
    thinking: bool = False
