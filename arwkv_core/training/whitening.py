"""A patch embedding that starts with all directions of its input equally loud.

Neighbouring bins and frames of a spectrogram say nearly the same: one direction of a 16 x 16 patch, its
level, holds most of the variance. Behind random weights, every channel hears that level and little else, and
thousands of steps pass before detail comes through.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray

from arwkv_core.constants import PATCH
from arwkv_core.model import ARWKV

FLOOR = 0.02
"""Directions with less than this share of the mean variance are not raised to the others: they are noise."""


@torch.no_grad()
def whiten_embedding_(network: ARWKV, spectrograms: Iterable[NDArray[np.float32]], seed: int) -> None:
    """Set the patch embedding to a random rotation of the whitened principal components of patches.

    Parameters
    ----------
    network : ARWKV
        Changed in place.
    spectrograms : iterable of ndarray, shape (B, frames, 128)
        Normalised log-mels such as the training shows.
    seed : int
        Of the rotation.
    """
    patches = np.concatenate([_patches(spectrogram) for spectrogram in spectrograms]).astype(np.float64)
    mean = patches.mean(0)
    variance, directions = np.linalg.eigh(np.cov((patches - mean).T))  # ascending
    width = network.arch.width
    kept = min(width, PATCH * PATCH)
    variance, directions = variance[::-1][:kept], directions[:, ::-1][:, :kept]
    whiten = (directions / np.sqrt(variance + FLOOR * variance.sum() / (PATCH * PATCH))).T  # (kept, 256)
    rotation = np.linalg.qr(np.random.default_rng(seed).standard_normal((width, width)))[0]
    weight = rotation[:, :kept] @ whiten  # (C, 256)
    network.emb.weight.copy_(torch.from_numpy(weight).view_as(network.emb.weight))
    bias = network.emb.bias
    assert bias is not None
    bias.copy_(torch.from_numpy(-weight @ mean))


def _patches(spectrogram: NDArray[np.float32]) -> NDArray[np.float32]:
    """``(B, frames, 128)`` -> ``(patches, 256)``, the frames of a patch first."""
    batch, frames, bins = spectrogram.shape
    grid = spectrogram.reshape(batch, frames // PATCH, PATCH, bins // PATCH, PATCH)
    return grid.transpose(0, 1, 3, 2, 4).reshape(-1, PATCH * PATCH)
