"""A run of mp3 frames in a file, decoded to mono by the compiled kernel, a few seconds at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.typing import NDArray

from arwkv_core.mp3.stream_kind import HEADER_BYTES, StreamKind

if TYPE_CHECKING:
    from arwkv_kernels.mp3_cpu import Mp3Frames

Floats = NDArray[np.float32]

FRAMES_AT_ONCE = 768
"""Twenty seconds of 44.1 kHz, or somewhat more or less: what is decoded in one call, without Python in between."""
READ_BYTES = 1 << 17
_ID3V1_BYTES = 128
WARM_UP_FRAMES = 64
"""Before the first sample that counts: a frame needs 511 bytes of earlier ones at most, 23 of the smallest."""


def decoder_of(kind: StreamKind) -> Mp3Frames:
    """The compiled decoder for frames of a kind."""
    from arwkv_core.mp3.tables import tables
    from arwkv_kernels.mp3_cpu import Mp3Frames

    return Mp3Frames(
        tables(kind.sample_rate),
        version=kind.version,
        rate_index=kind.rate_index,
        sample_rate=kind.sample_rate,
        channels=kind.channels,
        bit_rates=kind.bit_rates,
    )


class OwnFrames:
    """Frames from a given one on.

    Parameters
    ----------
    file : BinaryIO
        Seekable. Its offset is left where it was, so that another decoder can read it in turn.
    first : int
        Offset of the first frame (bytes).
    kind : StreamKind
        Of all frames.
    skipped : int
        Frames to pass over, besides the last `WARM_UP_FRAMES` of them, which are decoded by `warm_up`.

    Attributes
    ----------
    kind : StreamKind
    ended : bool
        Whether the last frame was followed by the end of the file, or by an ID3v1 tag there.
    """

    def __init__(self, file: BinaryIO, first: int, kind: StreamKind, skipped: int) -> None:
        self._file, self._offset, self._data = file, first, b""
        self.kind = kind
        self._warm_up = min(skipped, WARM_UP_FRAMES)
        self.ended = False
        self._recent: deque[tuple[bytes, int]] = (
            deque()
        )  # frames that were decoded last, and how many they are
        self._tail = np.empty(0, np.float32)  # what was made of the last of them
        self._failed = False  # a read, which the other decoder will meet, and tell
        self._in_order = self._pass_over(skipped - self._warm_up)
        self._frames = decoder_of(kind)

    @property
    def peak(self) -> float:
        """Largest magnitude of the samples that were given last."""
        return self._frames.peak

    def warm_up(self) -> Floats | None:
        """Samples of the frames before the first that counts; None where they are not all as expected.

        Those at the beginning can be silent instead: a frame needs data of earlier ones.
        """
        samples = []
        missing = self._warm_up if self._in_order else 0
        while missing:
            self._fill()
            done, used, _ = self._frames.decode(self._data, missing, tolerant=True)
            if not used:
                return None
            self._note(used, done)
            samples.append(done)
            missing -= len(done) // self.kind.frame_samples
        return np.concatenate(samples) if samples else None

    def samples(self) -> Generator[Floats, None, None]:
        """Samples (n,) of the frames that count, until there are no more or one is not for this decoder."""
        while True:
            size = self.kind.frame_bytes(self._data[:HEADER_BYTES]) or 0
            at_end = self._fill(FRAMES_AT_ONCE * size)
            done, used, odd = self._frames.decode(self._data, FRAMES_AT_ONCE)
            self._note(used, done)
            if len(done):
                yield done
            if odd or (at_end and not used):
                break
        rest = self._data
        only_tag = len(rest) == _ID3V1_BYTES and rest.startswith(b"TAG")
        self.ended = not self._failed and (not rest or only_tag)

    def last_frames(self) -> tuple[int, int, Floats]:
        """Where another decoder can begin so that it makes the same of what comes next.

        Returns
        -------
        offset : int
            Of a frame at most `WARM_UP_FRAMES` before the next one (bytes).
        frames : int
            That were decoded from there on.
        samples : ndarray
            The last of what was made of them.
        """
        recent = b"".join(data for data, _ in self._recent)
        starts, at = [], 0
        while at < len(recent):
            starts.append(at)
            at += self.kind.frame_bytes(recent[at : at + HEADER_BYTES]) or len(recent)
        starts = starts[-WARM_UP_FRAMES:]
        first = self._offset - len(self._data) - len(recent) + (starts[0] if starts else len(recent))
        return first, len(starts), self._tail

    def _note(self, used: int, samples: Floats) -> None:
        """Go on behind frames that were decoded, but keep those, and some before them if they are few."""
        if not len(samples):
            return
        self._recent.append((self._data[:used], len(samples) // self.kind.frame_samples))
        while sum(frames for _, frames in self._recent) - self._recent[0][1] >= WARM_UP_FRAMES:
            self._recent.popleft()
        self._tail = samples
        self._use(used)

    def _use(self, count: int) -> None:
        self._data = self._data[count:]

    def _fill(self, wanted: int = 0) -> bool:
        """Read on, if little is left or less than what is wanted; whether there was nothing to be read."""
        if len(self._data) >= max(wanted, READ_BYTES // 2):
            return False
        new = self._read(max(wanted - len(self._data), READ_BYTES))
        self._data += new
        return not new

    def _read(self, size: int) -> bytes:
        offset = self._file.tell()
        try:
            self._file.seek(self._offset)
            data = self._file.read(size)
        except Exception:  # whatever a caller's file object raises
            self._failed = True
            return b""
        finally:
            self._file.seek(offset)
        self._offset += len(data)
        return data

    def _pass_over(self, frames: int) -> bool:
        """Skip frames by their headers; whether they were all there."""
        for _ in range(frames):
            self._fill()
            size = self.kind.frame_bytes(self._data[:HEADER_BYTES])
            if size is None or size > len(self._data):
                return False
            self._use(size)
        return True
