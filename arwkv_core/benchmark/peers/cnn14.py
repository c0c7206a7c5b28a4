"""CNN14 of PANNs, by ``panns_inference``; it takes waveforms, so its time holds its features."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types

import torch
from torch import Tensor, nn

from .peer import WINDOW_SECONDS, Peer, PeerMissing

RATE = 32_000
PACKAGE = "panns_inference"


class ClipwiseOf(nn.Module):
    """CNN14 with the scores of the clip as its only output."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """``(B, samples)`` -> ``(B, 527)``."""
        return self.model(x, None)["clipwise_output"]


def build() -> nn.Module:
    """CNN14 (81 M parameters)."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None:
        raise PeerMissing(f"not installed: {PACKAGE}")
    if PACKAGE not in sys.modules:
        # its __init__ fetches a list of labels from the network: the module with the networks does without
        package = types.ModuleType(PACKAGE)
        package.__path__ = list(spec.submodule_search_locations or [])
        sys.modules[PACKAGE] = package
    try:
        models = importlib.import_module(f"{PACKAGE}.models")
    except ImportError as error:
        raise PeerMissing(f"{PACKAGE} can't be imported: {error}") from error
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return ClipwiseOf(models.Cnn14(RATE, 1024, 320, 64, 50, 14_000, 527)).eval()


def inputs(windows: int) -> Tensor:
    """Waveforms ``(windows, samples)``."""
    return 0.1 * torch.randn(
        (windows, round(WINDOW_SECONDS * RATE)), generator=torch.Generator().manual_seed(0)
    )


PEER = Peer(
    "cnn14",
    "CNN14 (panns_inference)",
    (PACKAGE,),
    build,
    inputs,
    windows=4,
    bfloat16=False,
    note="its log-mels are part of the network",
)
