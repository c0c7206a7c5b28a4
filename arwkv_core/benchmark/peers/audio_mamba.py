"""AuM-S, Audio Mamba: a state-space model in both directions over spectrogram patches, of ``mambapy``'s parts.

AuM (arXiv 2406.03344) is Vim on spectrograms: each block projects once, runs a convolution and a selective scan of its
own forwards and backwards, adds both and projects back. Its own package needs CUDA; here the scans are mambapy's, in
plain torch: its loop over the tokens, which takes a CPU less time than its parallel scan.
"""

from __future__ import annotations

import importlib
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .peer import Peer, random_spectrograms

WIDTH = 384
DEPTH = 24
PATCH = 16
MEL_BINS = 128
FRAMES = 992
CLASSES = 527


class BidirectionalBlock(nn.Module):
    """Norm, projection, a scan in each direction, gate, projection, residual."""

    def __init__(self) -> None:
        super().__init__()
        mambapy: Any = importlib.import_module("mambapy.mamba")
        config = mambapy.MambaConfig(d_model=WIDTH, n_layers=DEPTH, pscan=False)
        self.norm = nn.RMSNorm(WIDTH)
        self.ahead, self.back = mambapy.MambaBlock(config), mambapy.MambaBlock(config)
        for shared in ("in_proj", "out_proj"):
            setattr(self.back, shared, getattr(self.ahead, shared))

    def forward(self, x: Tensor) -> Tensor:
        """``(B, T, C)`` -> the same."""
        inner, gate = self.ahead.in_proj(self.norm(x)).chunk(2, dim=-1)
        y = _scan(self.ahead, inner, gate) + _scan(self.back, inner.flip(1), gate.flip(1)).flip(1)
        return x + self.ahead.out_proj(y * F.silu(gate))


def _scan(block: Any, x: Tensor, gate: Tensor) -> Tensor:
    x = block.conv1d(x.transpose(1, 2))[:, :, : x.shape[1]].transpose(1, 2)
    return block.ssm(F.silu(x), gate)


class AudioMamba(nn.Module):
    """Patches, positions, the blocks, and a head on the mean of all tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, WIDTH, PATCH, stride=PATCH)
        tokens = (FRAMES // PATCH) * (MEL_BINS // PATCH)
        self.positions = nn.Parameter(0.02 * torch.randn(1, tokens, WIDTH))
        self.blocks = nn.Sequential(*(BidirectionalBlock() for _ in range(DEPTH)))
        self.norm = nn.RMSNorm(WIDTH)
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, frames, 128)`` -> ``(B, 527)``."""
        tokens = self.patches(x[:, None]).flatten(2).transpose(1, 2) + self.positions
        return self.head(self.norm(self.blocks(tokens)).mean(1))


def build() -> nn.Module:
    """AuM-S (26 M parameters)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return AudioMamba().eval()


def inputs(windows: int) -> Tensor:
    """``(windows, 992, 128)``."""
    return random_spectrograms(windows, FRAMES, MEL_BINS)


PEER = Peer(
    "aum",
    "AuM-S (mambapy)",
    ("mambapy",),
    build,
    inputs,
    windows=1,
    bfloat16=False,
    note="Audio Mamba's blocks of mambapy's parts; its own kernels need CUDA",
)
