"""Where servers run and what is done when one fails: execution, never part of an artifact's identity.

The configuration's `serving:` reaches a step as JSON in the environment variable NEBULA_SERVING; by hand:

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
"""What starts a server that a training can send its weights to (TRL 1.16)."""


class Serving(Settings):
    """Servers of the OpenAI protocol with vLLM's extensions, and patience with them."""

    urls: dict[str, tuple[str, ...]] = Field(
        default={},
        description="by model: servers that run already, as http://host:port; a step starts those of other models",
    )
    retries: int = Field(default=8, ge=0, description="tries of a request after the first that failed")
    wait_seconds: float = Field(
        default=1.0, ge=0, description="before the first retry; doubled for each further one, up to a minute"
    )
    restarts: int = Field(default=2, ge=0, description="of each server that a step started itself and that died")
    start_minutes: float = Field(default=30.0, gt=0, description="until a server that was started must answer")
    request_minutes: float = Field(
        default=180.0, gt=0, description="until a request that was not answered counts as failed; thinking takes long"
    )

    @field_validator("urls")
    @classmethod
    def _are_urls(cls, urls: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for model, found in urls.items():
            wrong = [url for url in found if not url.startswith(("http://", "https://")) or url.rstrip("/") != url]
            if wrong or not found:
                raise ValueError(f"{model} has {wrong or 'none'}: give each server as http://host:port and no more")
        return urls


def of_this_job() -> Serving:
    """What the job was told; the defaults where nobody said anything."""
    return Serving.model_validate_json(os.environ.get(VARIABLE, "{}"))
