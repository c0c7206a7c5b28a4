"""Windows over a stream that comes in blocks, without copying the blocks: only what lies across a seam is joined."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def stretches(held: Floats, samples: np.ndarray, hop: int, window: int) -> list[Floats]:
    """Arrays whose windows are together, in order, those of `held` followed by `samples`.

    Parameters
    ----------
    held : ndarray
        ``(n,)`` float32: the last of the stream so far, from the first window on that isn't complete.
    samples : ndarray
        ``(m,)``: what comes next, of any floating type.
    hop, window : int
        Samples from window to window, and in one; a hop is not longer than a window.

    Returns
    -------
    list of ndarray
        One or two, float32 and contiguous. What follows the windows of the last is to be held.
    """
    across = -(-len(held) // hop)  # windows that begin in what is held
    seam = across * hop - len(held)  # samples before the first window that doesn't
    if len(samples) < seam + window:
        return [np.concatenate((held, samples), dtype=np.float32)]
    rest = np.ascontiguousarray(samples[seam:], dtype=np.float32)
    if not across:
        return [rest]
    return [np.concatenate((held, samples[: seam + window - hop]), dtype=np.float32), rest]
