"""Resampling on the CPU: taps and arrays in and out of the compiled loops."""

import math

import numpy as np
from numpy.typing import NDArray

from . import resample_layout as layout
from .numba_cache import kernel

RESAMPLE = ".numba_resample", "resample"  # imported only to be compiled

FEWEST_OUTPUTS = 256
"""Of a stretch: inputs that neighbouring stretches share are laid out for each of them."""

Floats = NDArray[np.float32]


class TapGroups:
    """A resampling filter, laid out for the kernel.

    Parameters
    ----------
    taps : ndarray
        ``(up, n)`` float32: of output i of every `up`; its first input is ``i * down // up``.
    up, down : int
        Outputs for so many inputs, without a common factor.

    Attributes
    ----------
    step_in, step_out : int
        Inputs and outputs of a stretch.
    batch_in, batch_out : int
        The same of a batch: all stretches that are worked on at once.
    inputs : int
        That a batch reads: `batch_in` and those that its last stretches share with the next batch.
    """

    def __init__(self, taps: Floats, up: int, down: int) -> None:
        self._kernel = kernel(*RESAMPLE)
        whole = math.lcm(
            layout.PHASES, layout.LANES
        )  # groups are whole, and so are the squares that are turned
        times = -(-FEWEST_OUTPUTS // up)
        while up * times % whole:
            times += 1
        self.step_in, self.step_out = down * times, up * times
        starts = np.arange(self.step_out) * down // up  # (outputs,)
        groups = starts.reshape(-1, layout.PHASES)
        self._first_rows = groups[:, 0].astype(np.int32)
        self._rows = int((groups[:, -1] - groups[:, 0]).max()) + taps.shape[1]
        grouped = np.zeros((len(groups), self._rows, layout.PHASES), np.float32)
        for group, first in enumerate(groups[:, 0]):
            for phase, start in enumerate(groups[group]):
                output = group * layout.PHASES + phase
                grouped[group, start - first :, phase][: taps.shape[1]] = taps[output % up]
        self._taps = grouped
        self.batch_in, self.batch_out = layout.STRETCHES * self.step_in, layout.STRETCHES * self.step_out
        self.inputs = self.batch_in + self._rows + layout.LANES
        self._scratch = np.zeros(layout.scratch_floats(self.step_in, self.step_out, self._rows), np.float32)

    def outputs(self, samples: int) -> int:
        """How many outputs are made of so many inputs: those of whole batches."""
        return max(0, 1 + (samples - self.inputs) // self.batch_in) * self.batch_out

    def run(self, samples: Floats, out: Floats) -> None:
        """Make the outputs of as many whole batches as there are inputs for.

        Parameters
        ----------
        samples : ndarray
            ``(n,)`` contiguous, from the first input of the first output on.
        out : ndarray
            ``(outputs(n),)`` contiguous.
        """
        p = np.zeros(layout.WORDS, np.int64)
        p[layout.SAMPLES], p[layout.OUT] = samples.ctypes.data, out.ctypes.data
        p[layout.BATCHES] = len(out) // self.batch_out
        p[layout.TAPS], p[layout.FIRST_ROWS] = self._taps.ctypes.data, self._first_rows.ctypes.data
        p[layout.SCRATCH] = self._scratch.ctypes.data
        p[layout.STEP_IN], p[layout.STEP_OUT] = self.step_in, self.step_out
        p[layout.ROWS], p[layout.GROUPS] = self._rows, len(self._first_rows)
        self._kernel(p.ctypes.data)
