"""The sections `models` and `training` of the configuration: every kind of model, and the defaults of each training."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from scripts.common.settings import Settings
from scripts.train.settings.grpo import GrpoModel
from scripts.train.settings.hub import HubModel
from scripts.train.settings.opd import OpdModel
from scripts.train.settings.pretrain import PretrainModel
from scripts.train.settings.sft import SftModel

Model = Annotated[HubModel | PretrainModel | SftModel | GrpoModel | OpdModel, Field(discriminator="kind")]


class Training(Settings):
    """The defaults of each kind of training; a model's `training` overrides them."""

    pretrain: dict[str, Any] | None = None
    sft: dict[str, Any]
    grpo: dict[str, Any]
    opd: dict[str, Any]
