"""Where servers run, and their timeouts and retries: execution, never part of an artifact's identity.

The configuration's `serving:` reaches a step as JSON in the environment variable NEBULA_SERVING. By hand:

    NEBULA_SERVING='{"urls": {"teacher": ["http://node7:8000"]}}' python -m scripts.distill.sample ...
"""

from __future__ import annotations

import os

from pydantic import Field, field_validator

from scripts.common.settings import Settings

VARIABLE = "NEBULA_SERVING"
POLICY_SERVER = (
    'VLLM_SERVER_DEV_MODE=1 vllm serve <init> --weight-transfer-config \'{"backend": "nccl"}\' '
    "--logprobs-mode processed_logprobs --generation-config vllm"
)
"""The command that starts a server to which a training can send its weights (TRL 1.16)."""


class Serving(Settings):
    """Servers of the OpenAI protocol with vLLM's extensions, and their timeouts and retries."""

    urls: dict[str, tuple[str, ...]] = Field(
        default={},
        description="running servers of each model, as http://host:port; a step starts the servers of other models",
    )
    retries: int = Field(default=8, ge=0, description="further tries of a request whose first try failed")
    wait_seconds: float = Field(
        default=1.0, ge=0, description="wait before the first retry; it doubles with each further one, up to a minute"
    )
    restarts: int = Field(default=2, ge=0, description="restarts of each server that the step itself started")
    start_minutes: float = Field(default=30.0, gt=0, description="time for a started server to answer")
    request_minutes: float = Field(
        default=180.0, gt=0, description="time after which an unanswered request counts as failed; thinking takes long"
    )

    @field_validator("urls")
    @classmethod
    def _are_urls(cls, urls: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for model, servers in urls.items():
            wrong = [url for url in servers if not url.startswith(("http://", "https://")) or url.rstrip("/") != url]
            if wrong or not servers:
                raise ValueError(f"{model} has {wrong or 'none'}: give each server as http://host:port and no more")
        return urls


def from_environment() -> Serving:
    """The settings in NEBULA_SERVING; the defaults if it is not set."""
    return Serving.model_validate_json(os.environ.get(VARIABLE, "{}"))
