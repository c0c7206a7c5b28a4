"""What the network should say at every 160 ms: the teacher's opinion, corrected by what is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from arwkv_core.constants import FRAMES_PER_STEP, HOP_SECONDS, STEP_SECONDS

from .corpus import TEACHER_FRAME_SECONDS, TEACHER_HOP_SECONDS

AUDIBLE_DB = 25.0
"""A known class is taken to sound wherever the clip is at most so much below its loud parts."""

LOUD_PERCENTILE = 95

DB_PER_NEPER = 10 / np.log(10)
"""Decibels of a natural logarithm of power."""


def teacher_weights(
    teacher_frames: int, clip_seconds: float, start_frame: int, steps: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Place steps between the centres of the teacher's frames.

    Parameters
    ----------
    teacher_frames : int
        Frames of the clip.
    clip_seconds : float
        Its length; the last frame ends there.
    start_frame : int
        First log-mel frame (10 ms) of the cut.
    steps : int
        Steps (160 ms) of the cut.

    Returns
    -------
    before, after : ndarray, shape (steps,)
        Neighbouring teacher frames.
    share : ndarray, shape (steps,)
        Weight of ``after``; the first and last frames extend to the clip's ends.
    """
    centres = np.arange(teacher_frames) * TEACHER_HOP_SECONDS + TEACHER_FRAME_SECONDS / 2
    if teacher_frames > 1:  # flush with the end
        centres[-1] = max(clip_seconds - TEACHER_FRAME_SECONDS / 2, centres[-2] + 1e-3)
    times = start_frame * HOP_SECONDS + (np.arange(steps) + 0.5) * STEP_SECONDS
    position = np.interp(times, centres, np.arange(teacher_frames))
    before = position.astype(np.int64)
    after = np.minimum(before + 1, teacher_frames - 1)
    return before, after, (position - before).astype(np.float32)


def audible_steps(mels: NDArray[np.float16], start_frame: int, steps: int) -> NDArray[np.bool_]:
    """Steps in which a clip is not silent relative to its own loud parts.

    Parameters
    ----------
    mels : ndarray, shape (frames, 128)
        The whole clip, natural logarithms of power.
    start_frame, steps : int
        The cut; a step past the clip's end is not audible.

    Returns
    -------
    ndarray of bool, shape (steps,)
    """
    level = DB_PER_NEPER * mels.astype(np.float32).max(1)  # (frames,) the loudest band
    loud = level >= np.percentile(level, LOUD_PERCENTILE) - AUDIBLE_DB
    cut = loud[start_frame : start_frame + steps * FRAMES_PER_STEP]
    cut = np.pad(cut, (0, steps * FRAMES_PER_STEP - len(cut)))
    sounding: NDArray[np.bool_] = np.any(cut.reshape(steps, FRAMES_PER_STEP), axis=1)
    return sounding


def tempered(scores: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Divide the log-odds of scores by a temperature; 0 and 1 stay what they are.

    Parameters
    ----------
    scores : ndarray
        0 to 1.
    temperature : float
        Above 0; 1 changes nothing.
    """
    if temperature == 1:
        return scores
    power = np.float32(1 / temperature)
    yes, no = scores**power, (1 - scores) ** power
    return (yes / (yes + no)).astype(np.float32)
