"""Sums and steps over hundreds of tensors at once on the CPU: an operation for each would take longer to start."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray

from . import update_layout as at
from .grad_call import compiled, float_bits, new
from .threads import run_on_threads

Addresses = NDArray[np.int64]


class Table:
    """Where the float32 tensors of a training step lie, a row for each weight.

    Parameters
    ----------
    counts : ndarray of int64, shape (weights,)
        Numbers in each.
    weights, means : ndarray of int64, shape (weights,)
        Addresses; 0 in ``means`` for a weight without a mean.
    """

    def __init__(self, counts: NDArray[np.int64], weights: Addresses, means: Addresses) -> None:
        self.counts = counts
        self.rows = np.zeros((len(counts), at.ROW_WORDS), np.int64)
        self.rows[:, at.WEIGHT], self.rows[:, at.MEAN] = weights, means

    def add_adamw(
        self,
        places: NDArray[np.int64],
        gradients: Addresses,
        first: Addresses,
        second: Addresses,
        steps: NDArray[np.float64],
        rate: float,
        weight_decay: float,
        betas: tuple[float, float],
    ) -> None:
        """Have some weights take a step of AdamW.

        Parameters
        ----------
        places : ndarray of int64, shape (n,)
            Their rows.
        gradients, first, second : ndarray of int64, shape (n,)
            Addresses of their gradients and moments.
        steps : ndarray, shape (n,)
            How many each has taken, with this one.
        rate, weight_decay : float
        betas : tuple of float
        """
        self.rows[places, at.GRADIENT] = gradients
        self.rows[places, at.FIRST], self.rows[places, at.SECOND] = first, second
        # with the correction of moments that began at 0
        sizes, roots = rate / (1 - betas[0] ** steps), (1 - betas[1] ** steps) ** -0.5
        self.rows[places, at.KEPT] = float_bits(1 - rate * weight_decay)
        self.rows[places, at.STEP] = sizes.astype(np.float32).view(np.uint32)
        self.rows[places, at.ROOT] = roots.astype(np.float32).view(np.uint32)


def gradient_norm(addresses: Addresses, counts: NDArray[np.int64]) -> float:
    """The norm of all numbers of some float32 tensors; the same bits on any number of threads."""
    owners, starts, lengths = _pieces(counts)
    rows = np.zeros((len(owners), at.ROW_WORDS), np.int64)
    rows[:, at.GRADIENT] = addresses[owners] + 4 * starts
    rows[:, at.COUNT] = lengths
    sums = new(len(rows))
    words = _words(rows)
    words[at.SUMS] = sums.data_ptr()
    run_on_threads(compiled("numba_update", "squares"), words.ctypes.data, torch.get_num_threads())
    return math.sqrt(float(sums.sum(dtype=torch.float64)))


def update(table: Table, scale: float, betas: tuple[float, float], epsilon: float, mean_share: float) -> None:
    """A step of AdamW, and one of the running mean behind it.

    Parameters
    ----------
    table : Table
        Its weights, moments and means are changed.
    scale : float
        Factor of the gradients.
    betas : tuple of float
        What is kept of either moment.
    epsilon : float
        What is added to roots.
    mean_share : float
        What a mean takes of the new weight.
    """
    owners, starts, lengths = _pieces(table.counts)
    rows = table.rows[owners]
    addresses = rows[:, : at.TENSORS]
    addresses += np.where(addresses, 4 * starts[:, None], 0)
    rows[:, at.COUNT] = lengths
    words = _words(rows)
    words[at.SCALE] = float_bits(scale)
    words[at.FIRST_SHARE] = float_bits(1 - betas[0])
    words[at.SECOND_KEPT], words[at.SECOND_SHARE] = float_bits(betas[1]), float_bits(1 - betas[1])
    close = mean_share >= 0.5  # as torch.lerp: a share of 1 gives the weight itself
    words[at.MEAN_IS_CLOSE] = close
    words[at.EPSILON], words[at.MEAN_SHARE] = float_bits(epsilon), float_bits(mean_share - close)
    threads = torch.get_num_threads()
    scratch = new(min(threads, len(rows)) * at.SCRATCH_FLOATS)
    words[at.SCRATCH] = scratch.data_ptr()
    run_on_threads(compiled("numba_update", "update"), words.ctypes.data, threads)


def prepare() -> None:
    """Compile both, or load them: raises what the compiler raises."""
    for name in ("squares", "update"):
        compiled("numba_update", name)


def _pieces(counts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """For each piece the tensor that it is of, its first number, and how many it has."""
    pieces = -(-counts // at.PIECE)
    owners = np.repeat(np.arange(len(counts)), pieces)
    before = np.cumsum(pieces) - pieces
    starts = (np.arange(len(owners)) - before[owners]) * at.PIECE
    return owners, starts, np.minimum(counts[owners] - starts, at.PIECE)


def _words(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    words = np.zeros(at.WORDS, np.int64)
    words[at.TASKS], words[at.TABLE] = len(rows), rows.ctypes.data
    return words
