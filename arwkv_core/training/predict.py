"""Clip scores of a network from stored log-mels: the quick look that validation takes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from arwkv_core.constants import FRAMES_PER_STEP
from arwkv_core.model import ARWKV

from .mel_store import MelStore
from .recipe import Recipe

BATCH_STEPS = 512
"""Steps (160 ms) run at once: what fits the caches beats what fills the memory."""


@torch.inference_mode()
def clip_scores(network: ARWKV, recipe: Recipe, mels: MelStore, clips: Sequence[int]) -> NDArray[np.float32]:
    """Score clips, each as one input: the mean over its steps.

    Clips of one length share a batch. As in `Tagger`, the last frame of a clip goes on to the end of its step; with
    absolute positions, zeros before normalisation fill the network's window, which also cuts longer clips.

    Returns
    -------
    ndarray, shape (clips, classes)
    """
    was_training = network.training
    network.eval()
    absolute = network.arch.position == "absolute"
    by_steps: dict[int, list[int]] = defaultdict(list)
    for row, clip in enumerate(clips):
        steps = -(-len(mels[clip]) // FRAMES_PER_STEP)
        by_steps[min(steps, network.arch.steps) if absolute else steps].append(row)
    out = np.zeros((len(clips), network.arch.classes), np.float32)
    device = network.pos_embed.device
    for steps, rows in sorted(by_steps.items()):
        length = network.arch.frames if absolute else steps * FRAMES_PER_STEP
        size = max(1, BATCH_STEPS * FRAMES_PER_STEP // length)
        for start in range(0, len(rows), size):
            chosen = rows[start : start + size]
            fbank = np.zeros((len(chosen), length, mels.frames.shape[1]), np.float32)
            for place, row in enumerate(chosen):
                frames = mels[clips[row]][:length]
                fbank[place, : len(frames)] = frames
                if not absolute:
                    fbank[place, len(frames) :] = frames[-1]
            x = (torch.from_numpy(fbank).to(device)[:, None] - recipe.data.mean) / recipe.data.std
            logits = network.step_logits(x)[:, :steps].float()
            scores = logits.softmax(-1) if recipe.loss.kind == "softmax" else logits.sigmoid()
            out[chosen] = scores.mean(1).cpu().numpy()
    network.train(was_training)
    return out
