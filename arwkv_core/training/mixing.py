"""Two examples heard at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .recipe import MixingTable
from .targets import DB_PER_NEPER

if TYPE_CHECKING:
    from .batches import Batch


def mix(
    rng: np.random.Generator, batch: Batch, more: Callable[[NDArray[np.intp]], Batch], table: MixingTable
) -> Batch:
    """Mix some examples of a batch with others (``power``), or all with those in another order (``beta``).

    Parameters
    ----------
    rng : Generator
    batch : Batch
        Changed in place, or replaced.
    more : callable
        Gives the partners of these examples.
    table : MixingTable
    """
    if table.kind == "power":
        chosen = np.flatnonzero(rng.random(len(batch.fbank)) < table.probability)
        if len(chosen):
            _mix_power(rng, batch, chosen, more(chosen), table.level_db)
    elif table.kind == "beta" and rng.random() < table.probability:
        return _mix_beta(rng, batch, table)
    return batch


def _mix_power(
    rng: np.random.Generator, batch: Batch, chosen: NDArray[np.intp], other: Batch, level_db: float
) -> None:
    """Add energies: ``log(exp(a) + gain * exp(b))``; a class sounds unless it sounds in neither."""
    gain = rng.uniform(-level_db, level_db, len(chosen)).astype(np.float32) / np.float32(DB_PER_NEPER)
    mine, second = batch.fbank[chosen], other.fbank + gain[:, None, None]
    # as numpy.logaddexp, which takes many times as long: it goes number by number
    batch.fbank[chosen] = np.maximum(mine, second) + np.log1p(np.exp(-np.abs(mine - second)))
    for targets, others in ((batch.steps, other.steps), (batch.clips, other.clips)):
        targets[chosen] = 1 - (1 - targets[chosen]) * (1 - others)
    batch.pure[chosen] = False


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
