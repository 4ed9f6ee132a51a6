"""Instructions: IFEval's constraints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scripts.verify.answer import Verdict
from scripts.verify.settings import VerifySettings


def verify(response: str, spec: Mapping[str, Any], settings: VerifySettings) -> Verdict:
    return Verdict(None, "not available yet")


def load() -> None:
    pass
