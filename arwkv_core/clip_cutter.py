"""Cut clips out of one recording, as it was recorded: at its own rate, with all its channels, to the sample."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from .audio_source import AudioSource
from .batch import Progress
from .clip_file import ClipFile
from .decode import open_decoder
from .decoder import Decoder, Resolution
from .errors import AudioError
from .sound_chunk import find_sound_chunk

MOST_OPEN = 48
"""Clips that are written at once. Where more overlap, the recording is decoded once more."""


@dataclass(frozen=True)
class Cut:
    """What to cut.

    Parameters
    ----------
    start, end : float
        Seconds; the first sample is number ``round(start * rate)``, the last the one before ``round(end * rate)``.
    """

    start: float
    end: float


@dataclass(frozen=True)
class Piece:
    """What was cut.

    Parameters
    ----------
    start, end : float
        Seconds at which its samples lie; the end is the recording's where that is nearer.
    sample_rate : int
        Hz.
    channels, frames : int
    gain : float
        See `ClipFile`.
    changed : bool
        True where the clip ends early because rate or channels change there.
    """

    start: float
    end: float
    sample_rate: int
    channels: int
    frames: int
    gain: float = 1.0
    changed: bool = False


OpenClip = Callable[[int, int, int, Resolution, int], ClipFile]
"""Called with a cut's number, sample rate, channels, resolution and the frames expected at most."""


@dataclass
class _Running:
    """A clip that is being written."""

    number: int
    file: ClipFile
    first: int  # frame of the stretch of one rate
    end: int


def cut_clips(
    path: str, cuts: list[Cut], open_clip: OpenClip, *, progress: Progress | None = None
) -> Iterator[tuple[int, Piece | None]]:
    """Read a recording forwards and write each cut while its sound passes by.

    Memory doesn't grow with the recording, nor with the length or number of clips.

    Parameters
    ----------
    path : str
    cuts : list of Cut
        In any order; they may overlap.
    open_clip : callable
        Makes the file of a cut.
    progress : callable, optional
        Called with the seconds read and those that the header states.

    Yields
    ------
    int, Piece or None
        The cut's number and what came of it, once its file is complete; None for one behind the recording's end.

    Raises
    ------
    AudioError
        If the recording can't be decoded, or a format can't hold it.
    """
    source = AudioSource(path)
    try:
        for numbers in _passes(cuts):
            chunk = find_sound_chunk(source.file, source.size)
            with closing(open_decoder(source, chunk)) as decoder:
                if decoder.sample_rate < 1:
                    raise AudioError(
                        f"{source.name}: damaged header: its sample rate is {decoder.sample_rate} Hz"
                    )
                if decoder.resolution.bits > (32 if decoder.resolution.floating else 24):
                    decoder.sample_type = "float64"
                yield from _Pass(cuts, numbers, open_clip, progress).run(decoder)
    finally:
        source.close()


def _passes(cuts: list[Cut]) -> Iterator[list[int]]:
    """Share out the cuts, in the order of their starts, so that no more overlap at once than may be open."""
    waiting = sorted(range(len(cuts)), key=lambda number: (cuts[number].start, cuts[number].end))
    while waiting:
        taken: list[int] = []
        ends: list[float] = []
        later: list[int] = []
        for number in waiting:
            ends = [end for end in ends if end > cuts[number].start]
            if len(ends) < MOST_OPEN:
                ends.append(cuts[number].end)
                taken.append(number)
            else:
                later.append(number)
        yield taken
        waiting = later


class _Pass:
    """One reading of the recording."""

    def __init__(
        self, cuts: list[Cut], numbers: Iterable[int], open_clip: OpenClip, progress: Progress | None
    ) -> None:
        self.cuts, self.open_clip, self.progress = cuts, open_clip, progress
        self.waiting = deque(numbers)
        self.running: list[_Running] = []
        self.before = 0.0  # seconds of the stretches before this one: rate and channels may change
        self.rate = self.channels = 0
        self.at = 0  # frames of this stretch that have passed

    def run(self, decoder: Decoder) -> Iterator[tuple[int, Piece | None]]:
        try:
            with closing(decoder.blocks()) as blocks:
                for block in blocks:
                    channels = block.samples.shape[1]
                    if (block.sample_rate, channels) != (self.rate, self.channels):
                        yield from self._end_all(changed=True)
                        self.before += self.at / self.rate if self.rate else 0.0
                        self.rate, self.channels, self.at = block.sample_rate, channels, 0
                    yield from self._pass_by(block.samples, decoder.resolution)
                    if self.progress is not None:
                        self.progress(self.before + self.at / self.rate, decoder.header_seconds)
                    if not self.waiting and not self.running:
                        return
            yield from self._end_all(changed=False)
            for number in self.waiting:
                yield number, None
        finally:
            for clip in self.running:  # something was raised, or nobody wants the rest
                clip.file.discard()

    def _pass_by(self, samples: np.ndarray, resolution: Resolution) -> Iterator[tuple[int, Piece | None]]:
        end = self.at + len(samples)
        while self.waiting and self._frame(self.cuts[self.waiting[0]].start) < end:
            number = self.waiting.popleft()
            first = max(0, self._frame(self.cuts[number].start))
            last = max(first + 1, self._frame(self.cuts[number].end))
            file = self.open_clip(number, self.rate, self.channels, resolution, last - first)
            self.running.append(_Running(number, file, first, last))
        for clip in list(self.running):
            clip.file.write(samples[max(clip.first - self.at, 0) : clip.end - self.at])
            if clip.end <= end:
                yield self._finish(clip, changed=False)
        self.at = end

    def _end_all(self, *, changed: bool) -> Iterator[tuple[int, Piece]]:
        for clip in list(self.running):
            yield self._finish(clip, changed=changed)

    def _finish(self, clip: _Running, *, changed: bool) -> tuple[int, Piece]:
        clip.file.commit()
        self.running.remove(clip)
        frames = clip.file.frames
        return clip.number, Piece(
            start=self.before + clip.first / self.rate,
            end=self.before + (clip.first + frames) / self.rate,
            sample_rate=self.rate,
            channels=self.channels,
            frames=frames,
            gain=clip.file.gain,
            changed=changed,
        )

    def _frame(self, seconds: float) -> int:
        return round((seconds - self.before) * self.rate)
