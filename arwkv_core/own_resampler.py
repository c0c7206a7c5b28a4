"""soxr's filter in a compiled loop, for long streams: the same but for rounding, and faster.

The filter is soxr's own, read off what soxr makes of single samples. Only its outermost taps are left out, which lie
below soxr's precision.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import soxr
from numpy.typing import NDArray

from arwkv_core.seam import stretches

Floats = NDArray[np.float32]

LARGEST_TERM = 640
"""Of the ratio of two rates: above, there are too many taps."""
_REACH = 700  # samples at the lower rate, from a single sample to the next: much more than the filter has
_SMALLEST_TAP = 3e-7  # of the largest: soxr's precision is 20 bits


def ratio(source_rate: int, target_rate: int) -> tuple[int, int]:
    """Outputs for so many inputs, without a common factor."""
    common = math.gcd(source_rate, target_rate)
    return target_rate // common, source_rate // common


@lru_cache(maxsize=4)
def taps(source_rate: int, target_rate: int) -> tuple[Floats, int]:
    """The filter of soxr's quality HQ.

    Returns
    -------
    taps : ndarray
        ``(up, 2 * reach + 1)``: of output i of every `up`.
    reach : int
        Inputs before ``i * down // up`` at which the taps begin.
    """
    up, down = ratio(source_rate, target_rate)
    distance = (
        round(_REACH * max(1.0, source_rate / target_rate)) // down * down + down + 1
    )  # 1 beyond a multiple
    places = distance * np.arange(1, down + 1)  # of single samples, at every place between outputs
    samples = np.zeros(distance * (down + 1))
    samples[places] = 1
    stream = soxr.ResampleStream(source_rate, target_rate, 1, dtype="float64", quality="HQ")
    answers = stream.resample_chunk(samples, last=True)
    outputs = np.arange(len(answers))
    nearest = np.clip((outputs * down + up * distance // 2) // (up * distance) - 1, 0, down - 1)
    lag = outputs * down - up * places[nearest]  # behind its sample, in parts of an input
    wanted = np.abs(answers) > _SMALLEST_TAP * np.abs(answers).max()
    reach = int(np.abs(lag[wanted]).max()) // up + 1
    found = np.zeros((up, 2 * reach + 1), np.float32)
    tap = reach - (lag - outputs * down % up) // up
    near = (tap >= 0) & (tap <= 2 * reach)
    found[outputs[near] % up, tap[near]] = answers[near]
    return found, reach


class OwnResampler:
    """A stream that is resampled from one of its outputs on.

    Parameters
    ----------
    source_rate, target_rate : int
        Hz.
    samples : ndarray
        ``(n,)`` float32: what came last of the stream; enough for the first output, or all of it.
    taken : int
        Samples of the stream so far, `samples` among them.
    given : int
        Outputs so far: those from here on are made.

    Raises
    ------
    ValueError
        If `samples` are too few.
    """

    def __init__(self, source_rate: int, target_rate: int, samples: Floats, taken: int, given: int) -> None:
        from arwkv_kernels.resample_cpu import TapGroups

        up, down = ratio(source_rate, target_rate)
        found, reach = taps(source_rate, target_rate)
        self._groups = TapGroups(found, up, down)
        stretch = given // self._groups.step_out
        self._passed = given - stretch * self._groups.step_out
        missing = taken - len(samples) - (stretch * self._groups.step_in - reach)
        if missing > 0 and len(samples) < taken:
            raise ValueError(f"expected {missing} samples more before the first output")
        self._held = np.concatenate((np.zeros(max(0, missing), np.float32), samples[max(0, -missing) :]))

    def push(self, samples: Floats) -> Floats:
        """Take the next samples (n,) and give those (m,) that are ready."""
        groups = self._groups
        parts = stretches(self._held, samples, groups.batch_in, groups.inputs)
        ends = np.cumsum([0, *(groups.outputs(len(part)) for part in parts)])
        out = np.empty(ends[-1], np.float32)
        for part, start, end in zip(parts, ends, ends[1:], strict=False):
            groups.run(part, out[start:end])
            rest = part[(end - start) // groups.batch_out * groups.batch_in :]
        self._held = rest.copy()
        ready = out[self._passed :]
        self._passed -= len(out) - len(ready)
        return ready

    def flush(self, owed: int) -> Floats:
        """The last outputs, as if silence followed."""
        rest = []
        while owed:
            rest.append(self.push(np.zeros(self._groups.inputs, np.float32))[:owed])
            owed -= len(rest[-1])
        return np.concatenate(rest) if rest else np.empty(0, np.float32)
