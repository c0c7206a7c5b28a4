"""Resampling of a stream: blocks in, blocks out, the same samples as for the whole at once."""

from __future__ import annotations

import logging
from collections import deque

import numpy as np
import soxr

from arwkv_core.own_resampler import LARGEST_TERM, OwnResampler, ratio

logger = logging.getLogger("arwkv.audio")

SOXR_SECONDS = 60
"""A stream longer than this is worth the own resampler, if that gives the same."""
COMPARED_SECONDS = 0.25
AGREEMENT = 1e-5
"""Of full scale, or of the loudest sample where that is beyond."""
_KEPT_SECONDS = (
    4  # of the input before a push, for the own resampler to begin with: more than soxr holds back
)


def resampled_length(samples: int, source_rate: int, target_rate: int) -> int:
    """Length of `samples` samples at another rate: rounded to the nearest, a half upwards."""
    return (2 * samples * target_rate + source_rate) // (2 * source_rate)


class Resampler:
    """soxr's band-limited resampler (quality HQ, linear phase, no delay) over a mono stream.

    After a minute of output the own resampler, which has the same filter, takes over where it agrees with soxr.

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
        self._own: OwnResampler | None = None
        self._stream = None
        self._recent: deque[np.ndarray] | None = None  # input, as long as the own resampler may take over
        self._tail = np.empty(0, np.float32)  # of the output, as long
        if source_rate != target_rate:
            self._stream = soxr.ResampleStream(source_rate, target_rate, 1, dtype="float32", quality="HQ")
            if max(ratio(source_rate, target_rate)) <= LARGEST_TERM:
                self._recent = deque()

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Take the next samples (n,) float32 and give those (m,) that are ready; m may be 0."""
        self.taken += len(samples)
        if self._own is not None:
            ready: np.ndarray = self._own.push(samples)
        else:
            ready = samples if self._stream is None else self._stream.resample_chunk(samples)
            if self._recent is not None:
                ready = self._taken_over(self._recent, samples, ready)
        self.given += len(ready)
        return ready

    def _taken_over(self, recent: deque[np.ndarray], samples: np.ndarray, ready: np.ndarray) -> np.ndarray:
        """What is given after a push: from one sample on, the same however the stream is cut, by the own resampler."""
        while recent and sum(map(len, recent)) - len(recent[0]) > _KEPT_SECONDS * self.source_rate:
            recent.popleft()
        recent.append(samples)
        last = round(SOXR_SECONDS * self.target_rate) - self.given
        outputs = np.concatenate((self._tail, ready[:last]))[-round(COMPARED_SECONDS * self.target_rate) :]
        if len(ready) < last:
            self._tail = outputs
            return ready
        self._own = self._agreeing(np.concatenate(recent), self.given + last, outputs)
        self._recent = None
        return ready if self._own is None else np.concatenate((ready[:last], self._own.push(samples[:0])))

    def _agreeing(self, recent: np.ndarray, start: int, outputs: np.ndarray) -> OwnResampler | None:
        """The own resampler from output `start` on, if it makes of the input those before that; else None."""
        rates = self.source_rate, self.target_rate
        try:
            found = OwnResampler(*rates, recent, self.taken, start - len(outputs)).flush(len(outputs))
            own = OwnResampler(*rates, recent, self.taken, start)
        except Exception as error:  # whatever a compiler may raise
            logger.info("resampling by soxr alone: %s: %s", type(error).__name__, error)
            return None
        off = np.abs(found - outputs).max()
        return own if off <= AGREEMENT * max(1.0, float(np.abs(outputs).max())) else None

    def flush(self) -> np.ndarray:
        """End the stream and give the rest, so that exactly `resampled_length` samples were given in all."""
        if self._stream is None:
            return np.empty(0, dtype=np.float32)
        owed = resampled_length(self.taken, self.source_rate, self.target_rate) - self.given
        if self._own is not None:
            rest: np.ndarray = self._own.flush(owed)
        else:
            rest = self._stream.resample_chunk(np.empty(0, dtype=np.float32), last=True)
            rest = np.pad(rest[:owed], (0, max(0, owed - len(rest))))  # soxr has the same rule
        self.given += len(rest)
        return rest
