"""Two examples heard at once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from .recipe import MixingTable
from .targets import DB_PER_NEPER

if TYPE_CHECKING:
    from .batches import Batch


def mix(rng: np.random.Generator, first: Batch, second: Batch, table: MixingTable) -> Batch:
    """Mix a batch with a second one (``power``) or with itself in another order (``beta``)."""
    if table.kind == "power":
        return _mix_power(rng, first, second, table)
    if table.kind == "beta" and rng.random() < table.probability:
        return _mix_beta(rng, first, table)
    return first


def _mix_power(rng: np.random.Generator, first: Batch, second: Batch, table: MixingTable) -> Batch:
    """Add energies: ``log(exp(a) + gain * exp(b))``; a class sounds unless it sounds in neither."""
    chosen = np.flatnonzero(rng.random(len(first.fbank)) < table.probability)
    gain = rng.uniform(-table.level_db, table.level_db, len(chosen)) / DB_PER_NEPER
    first.fbank[chosen] = np.logaddexp(first.fbank[chosen], second.fbank[chosen] + gain[:, None, None])
    for name in ("steps", "clips"):
        mine, other = getattr(first, name), getattr(second, name)
        mine[chosen] = 1 - (1 - mine[chosen]) * (1 - other[chosen])
    first.pure[chosen] = False
    return first


def _mix_beta(rng: np.random.Generator, batch: Batch, table: MixingTable) -> Batch:
    """Mixup or cutmix of the published recipe: one factor a batch, the batch reversed as the partner."""
    fbank, steps, clips = batch.fbank[::-1].copy(), batch.steps[::-1].copy(), batch.clips[::-1].copy()
    pure = np.zeros_like(batch.pure)
    if rng.random() >= table.cutmix_share:
        share = np.float32(rng.beta(table.mixup_alpha, table.mixup_alpha))
        mixed = [share * a + (1 - share) * b for a, b in ((batch.fbank, fbank), (batch.steps, steps))]
        clip_targets = share * batch.clips + (1 - share) * clips
        return replace(batch, fbank=mixed[0], steps=mixed[1], clips=clip_targets, pure=pure)
    pasted = 1 - rng.beta(1.0, 1.0)
    _, frames, bins = batch.fbank.shape
    side = pasted**0.5
    top, left = int(rng.integers(0, frames)), int(rng.integers(0, bins))
    half_frames, half_bins = int(frames * side / 2), int(bins * side / 2)
    rows = slice(max(0, top - half_frames), min(frames, top + half_frames))
    cols = slice(max(0, left - half_bins), min(bins, left + half_bins))
    batch.fbank[:, rows, cols] = fbank[:, rows, cols]
    # what was pasted may be less than was drawn, at the edges
    kept = np.float32(1 - (rows.stop - rows.start) * (cols.stop - cols.start) / (frames * bins))
    return replace(
        batch,
        steps=kept * batch.steps + (1 - kept) * steps,
        clips=kept * batch.clips + (1 - kept) * clips,
        pure=pure,
    )
