"""Mp3 frames to mono samples: bytes and arrays in and out of the compiled decoder."""

import numpy as np
from numpy.typing import NDArray

from . import mp3_layout as layout
from .numba_cache import kernel
from .vector_width import VALUES

FRAMES = ".numba_mp3", "frames"  # imported only to be compiled

_PADDING = 8  # bytes behind the data that may be read, but mean nothing


class Mp3Frames:
    """A decoder of frames that follow each other, all of one kind.

    Parameters
    ----------
    tables : ndarray
        ``(n,)`` int32: as `mp3_layout` has them.
    version : int
        0 for MPEG-1, 1 for MPEG-2, 2 for MPEG-2.5.
    rate_index : int
        The header's.
    sample_rate : int
        Hz.
    channels : int
    bit_rates : sequence of int
        Of the header's index (kbit/s), 16 of them.

    Attributes
    ----------
    peak : float
        Largest magnitude of the samples that were decoded last.
    """

    def __init__(
        self,
        tables: NDArray[np.int32],
        *,
        version: int,
        rate_index: int,
        sample_rate: int,
        channels: int,
        bit_rates: tuple[int, ...],
    ) -> None:
        self._kernel = kernel(*FRAMES)
        self.peak = 0.0
        self._tables, self._bit_rates = tables, np.array(bit_rates, np.int32)
        self.frame_samples = layout.LINES * (1 if version else 2)
        self._state = np.zeros(layout.STATE_BYTES // 8, np.int64)
        self._state[layout.STATE_FLOOR] = layout.RESERVOIR_BYTES
        self._state[layout.STATE_BLOCKS // 8 :][:2] = 1  # after silence any block may follow
        self._scratch = np.zeros(0, np.int64)
        p = self._words = np.zeros(layout.WORDS, np.int64)
        p[layout.STATE], p[layout.TABLES] = self._state.ctypes.data, tables.ctypes.data
        p[layout.LSF], p[layout.RATE_INDEX], p[layout.SAMPLE_RATE] = version, rate_index, sample_rate
        p[layout.CHANNELS], p[layout.BIT_RATES] = channels, self._bit_rates.ctypes.data

    def decode(
        self, data: bytes, most: int, *, tolerant: bool = False
    ) -> tuple[NDArray[np.float32], int, bool]:
        """Decode frames from the beginning of `data`.

        Parameters
        ----------
        data : bytes
            Of which the last frame may be cut.
        most : int
            Frames at most.
        tolerant : bool
            Whether frames whose main data began before the first one are passed over in silence.

        Returns
        -------
        samples : ndarray
            ``(frames * frame_samples,)``.
        used : int
            Bytes of the frames that were decoded.
        odd : bool
            Whether what follows is not for this decoder. It can't go on then.
        """
        p = self._words
        padded = np.frombuffer(data + bytes(_PADDING), np.uint8)
        needed = layout.MAIN + layout.RESERVOIR_BYTES + len(data) + layout.SLACK_BYTES
        if self._scratch.nbytes < needed:
            self._scratch = np.zeros(-(-needed // 8), np.int64)
        out = np.empty(most * self.frame_samples, np.float32)
        p[layout.DATA], p[layout.DATA_BYTES] = padded.ctypes.data, len(data)
        p[layout.OUT], p[layout.MOST_FRAMES] = out.ctypes.data, most
        p[layout.SCRATCH], p[layout.TOLERANT] = self._scratch.ctypes.data, tolerant
        self._kernel(p.ctypes.data)
        peaks = self._scratch.view(np.float32)[layout.PEAKS // 4 :][:VALUES]
        self.peak = float(peaks.max())
        samples = out[: p[layout.FRAMES_DONE] * self.frame_samples]
        return samples, int(p[layout.BYTES_DONE]), bool(p[layout.STATUS] == layout.ODD)
