"""The network of EfficientAT's mn04: MobileNetV3 of width 0.4 on log-mels, by ``torchvision``.

EfficientAT itself is in no package registry; its mn04 is this network with one input channel and 527 classes.
"""

from __future__ import annotations

import importlib
from typing import Any

import torch
from torch import Tensor, nn

from .peer import Peer, random_spectrograms

WIDTH = 0.4
MEL_BINS = 128
FRAMES = 992
CLASSES = 527


class OfSpectrograms(nn.Module):
    """An image network whose picture is a log-mel spectrogram."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """``(B, frames, 128)`` -> ``(B, 527)``."""
        return self.network(x.transpose(1, 2)[:, None])


def build() -> nn.Module:
    """MobileNetV3-large of width 0.4, one input channel."""
    torchvision: Any = importlib.import_module("torchvision.models.mobilenetv3")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        blocks, last = torchvision._mobilenet_v3_conf("mobilenet_v3_large", width_mult=WIDTH)
        network = torchvision.MobileNetV3(blocks, round(last * WIDTH), num_classes=CLASSES)
        first = network.features[0][0]
        network.features[0][0] = nn.Conv2d(1, first.out_channels, 3, stride=2, padding=1, bias=False)
        return OfSpectrograms(network).eval()


def inputs(windows: int) -> Tensor:
    """``(windows, 992, 128)``."""
    return random_spectrograms(windows, FRAMES, MEL_BINS)


PEER = Peer(
    "efficientat",
    "EfficientAT mn04's network (torchvision)",
    ("torchvision",),
    build,
    inputs,
    windows=8,
    bfloat16=False,
    note="MobileNetV3 of width 0.4",
)
