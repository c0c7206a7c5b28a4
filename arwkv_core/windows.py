"""Windows over a recording: where they lie, how a stream is cut into them, how their scores are blended.

Everything here counts in log-mel frames (10 ms) and in steps of 16 frames (160 ms), and nothing needs to know
how long the recording is before it ends.

::

    recording  |----------------------------------------------|  F frames
    windows    |---------------------|                           W frames from 0
                          |---------------------|                hop later
                                     ...
                                    |----------------------|     the last, moved back to end at F
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .constants import FRAMES_PER_STEP

Floats = NDArray[np.float32]


def count_steps(frames: int) -> int:
    """Steps of 16 frames that cover ``frames`` frames; the last may be partial."""
    return -(-frames // FRAMES_PER_STEP)


def plan_windows(frames: int, window: int, hop: int) -> list[int]:
    """List the first frame of each window of a recording whose length is known.

    This is the definition; `WindowCutter` does the same for a stream.

    Parameters
    ----------
    frames : int
        Length of the recording, at least 1.
    window, hop : int
        Length of a window and distance between windows, ``1 <= hop <= window``.

    Returns
    -------
    list of int
        Ascending. One window at 0 if the recording is not longer than a window.
    """
    last = max(frames - window, 0)
    return [*range(0, last, hop), last]


@dataclass(frozen=True)
class Window:
    """A stretch of a recording's log-mels.

    Parameters
    ----------
    start : int
        Its first frame, counted from the recording's beginning.
    features : ndarray
        ``(frames, bins)``; shorter than the model's window only if the whole recording is.
    """

    start: int
    features: Floats


@dataclass(frozen=True)
class Span:
    """Where a window lies.

    Parameters
    ----------
    start, frames : int
        Its first frame, counted from the recording's beginning, and its length.
    """

    start: int
    frames: int


class WindowCutter:
    """Cut a stream of log-mel blocks into windows, holding little more than one window.

    Parameters
    ----------
    window, hop : int
        In frames, ``1 <= hop <= window``: a larger hop would leave frames that no window covers.

    Attributes
    ----------
    frames : int
        Frames received.
    """

    def __init__(self, window: int, hop: int) -> None:
        if not 1 <= hop <= window:
            raise ValueError(f"hop: expected 1 to {window} frames, found {hop}")
        self.window, self.hop = window, hop
        self.frames = 0
        self._pieces: list[Floats] = []
        self._first = 0  # frame at which the pieces begin
        self._next = 0  # start of the next regular window

    def push(self, features: Floats) -> Iterator[Window]:
        """Take a block ``(frames, bins)``; yield the windows that it completes.

        A window that ends exactly at the last frame received waits for `finish` or for more: only then is
        it known whether it is a regular window or the last.
        """
        if len(features) == 0:
            return
        self._pieces.append(features)
        self.frames += len(features)
        if self._next + self.window >= self.frames:
            return
        held = self._join()
        while self._next + self.window < self.frames:
            yield self._cut(held, self._next)
            self._next += self.hop
        keep = self.frames - self.window  # the last window would begin here if nothing followed
        self._pieces = [held[keep - self._first :].copy()]  # a view would keep the whole block alive
        self._first = keep

    def finish(self) -> Iterator[Window]:
        """Yield the last window, which ends with the recording; nothing for an empty one."""
        if self.frames:
            yield self._cut(self._join(), max(self.frames - self.window, 0))

    def _join(self) -> Floats:
        return self._pieces[0] if len(self._pieces) == 1 else np.concatenate(self._pieces)

    def _cut(self, held: Floats, start: int) -> Window:
        return Window(start, held[start - self._first :][: self.window])


class StepBlender:
    """Blend the scores of overlapping windows into one row per step of the recording.

    A window's steps are laid onto the recording's grid of steps by their overlap in frames (both grids
    agree but for a last window moved back by an odd distance). Each row then weighs in with the frames that
    it rests on times their distance from the window's nearer edge, where a model knows one side only.

    Parameters
    ----------
    classes : int
        Columns of the scores.
    first : int
        Step of the recording at which the first window begins.
    """

    def __init__(self, classes: int, first: int = 0) -> None:
        self.classes = classes
        self._first = first  # step that the first open row stands for
        self._sums = np.zeros((0, classes))  # (open steps, classes), weighted
        self._weights = np.zeros(0)  # (open steps,)

    def add(self, start: int, frames: int, scores: Floats) -> Floats:
        """Take the scores of a window; return the rows that no later window can change.

        Parameters
        ----------
        start : int
            First frame of the window; not before that of the window added last.
        frames : int
            Frames of the recording in the window.
        scores : ndarray
            ``(steps, classes)``, with ``steps = ceil(frames / 16)``.

        Returns
        -------
        ndarray
            ``(finished steps, classes)``, in the order of time, each step once.
        """
        if scores.shape != (count_steps(frames), self.classes):
            expected = (count_steps(frames), self.classes)
            raise ValueError(f"scores: expected {expected} for {frames} frames, found {scores.shape}")
        first = start // FRAMES_PER_STEP
        finished = self._release(first)
        rows, weights = lay_on_grid(start % FRAMES_PER_STEP, frames, scores)
        missing = first + len(rows) - self._first - len(self._weights)
        if missing > 0:
            self._sums = np.concatenate([self._sums, np.zeros((missing, self.classes))])
            self._weights = np.concatenate([self._weights, np.zeros(missing)])
        here = slice(first - self._first, first - self._first + len(rows))
        self._sums[here] += weights[:, None] * rows
        self._weights[here] += weights
        return finished

    def finish(self) -> Floats:
        """Return the rows that are still open ``(steps, classes)``."""
        return self._release(self._first + len(self._weights))

    def _release(self, step: int) -> Floats:
        """Hand out the rows of all steps before ``step``."""
        count = step - self._first
        rows = (self._sums[:count] / self._weights[:count, None]).astype(np.float32)
        self._sums, self._weights = self._sums[count:], self._weights[count:]
        self._first = step
        return rows


def lay_on_grid(shift: int, frames: int, scores: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Spread a window's steps onto the recording's grid of steps.

    Parameters
    ----------
    shift : int
        Frames by which the window begins after a step of the recording, 0 to 15.
    frames : int
        Frames in the window.
    scores : ndarray
        ``(ceil(frames / 16), classes)``

    Returns
    -------
    rows : ndarray
        ``(ceil((shift + frames) / 16), classes)``: for each step of the recording that the window touches,
        the mean of the window's scores over the frames that both share.
    weights : ndarray
        ``(steps,)``: shared frames times the distance of their centre from the window's nearer edge, in
        frames; above 0.
    """
    # Frames are counted from the window's start. Step i of the recording is [16 i - shift, 16 i - shift +
    # 16): it shares frames with step i - 1 of the window, up to frame 16 i, and with step i from there on.
    index = np.arange(count_steps(shift + frames))  # (steps,)
    border = np.clip(index * FRAMES_PER_STEP, 0, frames)
    low = np.clip(index * FRAMES_PER_STEP - shift, 0, frames)
    high = np.clip(index * FRAMES_PER_STEP - shift + FRAMES_PER_STEP, 0, frames)
    before = (border - low) / (high - low)  # share of the window's step i - 1
    earlier = scores[np.maximum(index - 1, 0)]
    later = scores[np.minimum(index, len(scores) - 1)]
    rows = before[:, None] * earlier + (1 - before)[:, None] * later  # (steps, classes), float64
    centre = (low + high) / 2
    return rows, (high - low).astype(np.float64) * np.minimum(centre, frames - centre)
