"""The model that a training goes on from: the same classes, further ones beside them, or others in their place."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from arwkv_core.checkpoint import load_model
from arwkv_core.errors import ConfigError
from arwkv_core.labels import LabelSet
from arwkv_core.model import ARWKV, Architecture
from arwkv_core.model_config import ModelConfig

from .corpus import Corpus
from .recipe import Recipe

LEAST_FREQUENCY, LARGEST_FREQUENCY = 1e-5, 0.9
"""Between these, a new row of a head takes the share of its class for the truth."""


@dataclasses.dataclass(frozen=True)
class Start:
    """A loaded model to go on from."""

    network: ARWKV
    config: ModelConfig
    labels: LabelSet


def shape_of(recipe: Recipe, classes: int) -> Architecture:
    """The architecture that a recipe asks for."""
    shape = recipe.network
    return Architecture(
        shape.depth, shape.width, classes, shape.position, shape.frames, head_bias=shape.head_bias
    )


def load_start(recipe: Recipe, corpus: Corpus) -> Start:
    """Load the model that a training goes on from.

    Raises
    ------
    ConfigError
        If it has another shape or another normalisation than the recipe, or if its classes don't fit
        `network.head`.
    """
    name, head = recipe.network.start, recipe.network.head
    model, config, labels = load_model(name)
    wanted = shape_of(recipe, len(corpus.labels))
    found = model.arch
    if head != "same":  # that is about to be another
        found = dataclasses.replace(found, classes=wanted.classes, head_bias=wanted.head_bias)
    checks: list[tuple[str, object, object]] = [
        ("shape", wanted, found),
        ("mean and std", (recipe.data.mean, recipe.data.std), (config.mean, config.std)),
    ]
    for what, expected, there in checks:
        if there != expected:
            raise ConfigError(f"network.start: {name}: expected {what} {expected}, found {there}")
    if head == "same" and labels.mids != corpus.labels.mids:
        raise ConfigError(f"network.start: {name}: its classes are not those of the corpus, in their order")
    if head == "extended" and labels.mids != corpus.labels.mids[: len(labels)]:
        raise ConfigError(
            f"network.start: {name}: its classes are not the first of the corpus, in their order"
        )
    return Start(model, config, labels)


@torch.no_grad()
def go_on_from_(network: ARWKV, start: Start, recipe: Recipe, frequency: NDArray[np.float64]) -> None:
    """Give a network the weights of another one.

    Rows of the head for classes that are new say of everything how frequent the class is: by their bias, or where
    there is none, nothing at all.

    Parameters
    ----------
    network : ARWKV
        Changed in place.
    start : Start
    recipe : Recipe
    frequency : ndarray, shape (classes,)
        Mean targets.
    """
    if recipe.network.head == "same":
        network.load_state_dict(start.network.state_dict())
        return
    body = {key: value for key, value in start.network.state_dict().items() if not key.startswith("head.")}
    network.load_state_dict(body, strict=False)
    nn.init.zeros_(network.head.weight)
    if recipe.network.head_bias:
        share = torch.from_numpy(frequency).float().clamp(LEAST_FREQUENCY, LARGEST_FREQUENCY)
        network.head.bias.copy_(share.log() if recipe.loss.kind == "softmax" else torch.logit(share))
    if recipe.network.head == "extended":
        rows = len(start.labels)
        network.head.weight[:rows] = start.network.head.weight
        if recipe.network.head_bias:
            bias = start.network.head.bias if start.network.arch.head_bias else torch.zeros(rows)
            network.head.bias[:rows] = bias
