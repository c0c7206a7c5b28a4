"""Does a loaded model say what the plain network says? Asked before any of its speed is told."""

from __future__ import annotations

import torch
from torch import Tensor

from arwkv_core.checkpoint import load_model
from arwkv_core.tagger import Tagger

from .correctness import require_close
from .forced_backend import PLAIN, forced_backend
from .recordings import log_mels

TOLERANCES = {"fp32": 1e-3, "bf16": 5e-2, "int8": 0.2}
"""Largest error of an embedding, relative to the largest value."""

WINDOWS = 2


def check_tagger(tagger: Tagger, precision: str) -> None:
    """Compare a model's embeddings with those of the plain network in float32 with the plain kernel.

    Parameters
    ----------
    tagger : Tagger
        On the CPU, loaded from a folder.
    precision : str
        That it computes in.

    Raises
    ------
    WrongOutput
        If they are off.
    """
    features = log_mels(WINDOWS, tagger.window_frames)
    found = torch.from_numpy(tagger.embed(features))
    wanted = plain_embeddings(tagger, torch.from_numpy(features))
    require_close(f"{tagger.name}, {precision}: embeddings", found, wanted, TOLERANCES[precision])


def plain_embeddings(tagger: Tagger, features: Tensor) -> Tensor:
    """Embed ``(B, frames, 128)`` by the plain network: ``(B, steps, width)``."""
    assert tagger.folder is not None, "a bare weight file has no folder to load again"
    network, config, _ = load_model(tagger.folder)
    normalised = ((features - config.mean) / config.std)[:, None]
    with forced_backend(PLAIN), torch.inference_mode():
        return network.eval().float().step_embeddings(normalised)
