"""Resampling of a stream: blocks in, blocks out, the same samples as for the whole at once."""

from __future__ import annotations

import numpy as np
import soxr


def resampled_length(samples: int, source_rate: int, target_rate: int) -> int:
    """Length of `samples` samples at another rate: rounded to the nearest, a half upwards."""
    return (2 * samples * target_rate + source_rate) // (2 * source_rate)


class Resampler:
    """soxr's band-limited resampler (quality HQ, linear phase, no delay) over a mono stream.

    Parameters
    ----------
    source_rate, target_rate : int
        Hz. Equal rates pass the samples through untouched.
    """

    def __init__(self, source_rate: int, target_rate: int) -> None:
        self.source_rate = source_rate
        self.target_rate = target_rate
        self.taken = 0
        """Samples taken so far, at `source_rate`."""
        self.given = 0
        """Samples given so far, at `target_rate`."""
        self._stream = None
        if source_rate != target_rate:
            self._stream = soxr.ResampleStream(source_rate, target_rate, 1, dtype="float32", quality="HQ")

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Take the next samples (n,) float32 and give those (m,) that are ready; m may be 0."""
        self.taken += len(samples)
        ready = samples if self._stream is None else self._stream.resample_chunk(samples)
        self.given += len(ready)
        return ready

    def flush(self) -> np.ndarray:
        """End the stream and give the rest, so that exactly `resampled_length` samples were given in all."""
        if self._stream is None:
            return np.empty(0, dtype=np.float32)
        rest = self._stream.resample_chunk(np.empty(0, dtype=np.float32), last=True)
        owed = resampled_length(self.taken, self.source_rate, self.target_rate) - self.given
        rest = np.pad(rest[:owed], (0, max(0, owed - len(rest))))  # soxr has the same rule
        self.given += len(rest)
        return rest
