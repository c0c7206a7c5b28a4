"""Models of the published shapes with random weights, as folders that arwkv loads."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import torch

from arwkv_core.architecture import Architecture
from arwkv_core.checkpoint import save_model_folder
from arwkv_core.labels import AUDIOSET_CLASSES, AUDIOSET_LABELS, LabelSet
from arwkv_core.model import ARWKV
from arwkv_core.model_config import ModelConfig

WIDTHS = {"T": 192, "S": 384, "B": 768}
DEPTH = 12

NOISE = 0.02
"""Standard deviation of what is added to fresh weights, among which are zeros that would hide every mistake."""


@lru_cache(maxsize=1)
def random_network(shape: str) -> ARWKV:
    """A network of a published shape without positions in time; its weights are those of bfloat16.

    Not to be changed: whoever asks next gets the same one.

    Parameters
    ----------
    shape : {"T", "S", "B"}
    """
    arch = Architecture(DEPTH, WIDTHS[shape], AUDIOSET_CLASSES, "frequency")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(WIDTHS[shape])
        network = ARWKV(arch)
        with torch.no_grad():
            for weight in network.parameters():
                weight.add_(torch.randn(weight.shape), alpha=NOISE)
                weight.copy_(weight.bfloat16())
    return network.eval()


def save_random_model(shape: str, folder: Path) -> None:
    """Write such a network as a model folder."""
    network = random_network(shape)
    config = ModelConfig(name=f"random-{shape.lower()}", architecture=network.arch, score_function="sigmoid")
    labels = LabelSet.read(AUDIOSET_LABELS, count=AUDIOSET_CLASSES)
    save_model_folder(folder, network, config, labels, f"# Random weights, {shape} shape\n", overwrite=True)
