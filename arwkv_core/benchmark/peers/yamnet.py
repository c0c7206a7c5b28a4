"""YAMNet, by Google's LiteRT, whose model file the user has to bring: no package holds it."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .peer import Peer, PeerMissing

MODEL_VARIABLE = "ARWKV_BENCH_YAMNET"
"""Environment variable that names the file ``yamnet.tflite``: waveforms in, 521 scores every 0.48 s out."""

RATE = 16_000
SECONDS = 9.92


class LiteRtModel(nn.Module):
    """A LiteRT model that takes one waveform of any length."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        litert: Any = importlib.import_module("ai_edge_litert.interpreter")
        self.interpreter = litert.Interpreter(str(path), num_threads=torch.get_num_threads())
        self.samples = 0

    def forward(self, x: Tensor) -> Tensor:
        """``(1, samples)`` -> scores ``(1, 521)``, the mean over its frames."""
        waveform = x[0].numpy()
        taken = self.interpreter.get_input_details()[0]["index"]
        if self.samples != len(waveform):
            self.samples = len(waveform)
            self.interpreter.resize_tensor_input(taken, [self.samples], strict=True)
            self.interpreter.allocate_tensors()
        self.interpreter.set_tensor(taken, waveform)
        self.interpreter.invoke()
        scores = self.interpreter.get_tensor(self.interpreter.get_output_details()[0]["index"])
        return torch.from_numpy(np.asarray(scores)).mean(0, keepdim=True)


def build() -> nn.Module:
    """Read the model file that `MODEL_VARIABLE` names."""
    path = os.environ.get(MODEL_VARIABLE)
    if not path:
        raise PeerMissing(f"no package holds its model: let {MODEL_VARIABLE} name a yamnet.tflite")
    if not Path(path).is_file():
        raise PeerMissing(f"{MODEL_VARIABLE}={path}: there is no such file")
    return LiteRtModel(Path(path))


def inputs(windows: int) -> Tensor:
    """A waveform ``(1, samples)`` at 16 kHz."""
    return 0.1 * torch.randn((windows, round(SECONDS * RATE)), generator=torch.Generator().manual_seed(0))


PEER = Peer(
    "yamnet",
    "YAMNet (LiteRT)",
    ("ai_edge_litert",),
    build,
    inputs,
    windows=1,
    bfloat16=False,
    note="its log-mels are part of the network",
)
