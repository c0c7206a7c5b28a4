"""AST-B, the Audio Spectrogram Transformer, by Hugging Face's ``transformers``."""

from __future__ import annotations

import importlib
from typing import Any

import torch
from torch import Tensor, nn

from .peer import Peer, random_spectrograms

MEL_BINS = 128
FRAMES = 1_024
"""That the published model takes: 10.24 s, of which a clip of ten seconds fills 998 frames."""
CLASSES = 527


class LogitsOf(nn.Module):
    """A model of ``transformers`` that gives its logits and nothing else."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """``(B, frames, 128)`` -> ``(B, 527)``."""
        return self.model(x).logits


def build(frames: int = FRAMES) -> nn.Module:
    """AST-B (87 M parameters) for so many frames: patches of 16 × 16, 10 apart in both directions."""
    transformers: Any = importlib.import_module("transformers")
    config = transformers.ASTConfig(max_length=frames, num_mel_bins=MEL_BINS, num_labels=CLASSES)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return LogitsOf(transformers.ASTForAudioClassification(config).eval())


def inputs(windows: int) -> Tensor:
    """``(windows, 1024, 128)``."""
    return random_spectrograms(windows, FRAMES, MEL_BINS)


PEER = Peer("ast", "AST-B (transformers)", ("transformers",), build, inputs, windows=2)
