"""The shape of a model, which determines the cost of a token: from its name on the hub or its training settings."""

from __future__ import annotations

import re
from dataclasses import dataclass

from scripts.common.flops import forward_flops, training_flops
from scripts.train.settings.base import PostTrainedModel
from scripts.train.settings.hub import HubModel
from scripts.train.settings.pretrain import Pretrain
from scripts.workflow.config import Config


@dataclass(frozen=True)
class Shape:
    """The dimensions of a model's architecture that determine its cost."""

    parameters: float
    layers: int
    attention_width: int
    """Number of heads times their dimension; 0 if unknown, and attention is then not counted."""

    def forward_flops(self, context: float) -> float:
        """FLOP of one token's forward pass after `context` tokens."""
        return forward_flops(self.parameters, self.layers, self.attention_width, context)

    def training_flops(self, context: float) -> float:
        """FLOP of training on one token after `context` tokens."""
        return training_flops(self.parameters, self.layers, self.attention_width, context)


# Qwen3 technical report, table 1.
SHAPES = {
    "Qwen3-8B": Shape(8.2e9, 36, 4096),
    "Qwen3-14B": Shape(14.8e9, 40, 5120),
    "Qwen3-32B": Shape(32.8e9, 64, 8192),
}


def shape_of(config: Config, name: str) -> Shape | None:
    """The shape of a model; a trained model has its initial model's. None if a hub model's name states no size."""
    model = config.models[name]
    if isinstance(model, HubModel):
        return _hub_shape(model.repository)
    if isinstance(model, PostTrainedModel):
        return shape_of(config, model.init)
    return _pretrained_shape(config, name)


def _hub_shape(repository: str) -> Shape | None:
    short = repository.rsplit("/", 1)[-1].removesuffix("-Base")
    if short in SHAPES:
        return SHAPES[short]
    stated = re.search(r"(\d+(?:\.\d+)?)B\b", short)
    return Shape(float(stated[1]) * 1e9, 0, 0) if stated else None


def _pretrained_shape(config: Config, name: str) -> Shape:
    settings = config.training_of(name)
    assert isinstance(settings, Pretrain)
    one = settings.architecture
    queries, keys = one.num_attention_heads * one.head_dim, one.num_key_value_heads * one.head_dim
    layer = one.hidden_size * (2 * queries + 2 * keys + 3 * one.intermediate_size)
    parameters = settings.tokenizer.vocabulary * one.hidden_size + one.num_hidden_layers * layer
    return Shape(parameters, one.num_hidden_layers, queries)
