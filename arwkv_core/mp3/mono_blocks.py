"""The blocks of an mp3 as mono: the first minute by FFmpeg, what follows by the own decoder where that agrees.

FFmpeg remains the judge. The own decoder begins in the midst of what FFmpeg has decoded, and goes on only if it made
the same of it; where it meets anything unusual FFmpeg goes on from where it was, and what has been given already is
passed over. Nothing is lost or given twice. Short files never load the compiled decoder.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Generator, Iterator
from typing import BinaryIO

import numpy as np

from arwkv_core.decoder import Block
from arwkv_core.mp3.own_frames import OwnFrames
from arwkv_core.mp3.stream_kind import kind_at

logger = logging.getLogger("arwkv.audio")

DECODER_VARIABLE = "ARWKV_MP3_DECODER"
"""Environment variable: ``ffmpeg`` leaves the own decoder out, ``own`` takes it after the first block."""

FFMPEG_SECONDS = 60.0
"""Sound that FFmpeg decodes before the own decoder is asked."""
COMPARED_FRAMES = 8
AGREEMENT = 1e-4
"""Of full scale, or of the loudest sample where that is beyond: rounding differs by a tenth of this at most."""


def mono_blocks(
    blocks: Iterator[Block], file: BinaryIO, first: int, undamaged: Callable[[], bool]
) -> Generator[Block, None, None]:
    """Blocks of an mp3, of which those that the own decoder made have one channel: the mean.

    Parameters
    ----------
    blocks : iterator of Block
        What FFmpeg makes of it, from its first frame on.
    file : BinaryIO
        The file, of which both read. Its offset is FFmpeg's.
    first : int
        Offset of the first frame (bytes).
    undamaged : callable
        Whether FFmpeg has found nothing wrong so far, so that as many frames are behind it as it gave.
    """
    choice = os.environ.get(DECODER_VARIABLE, "")
    patience = 0.0 if choice == "own" else FFMPEG_SECONDS
    taken = 0
    for block in blocks:
        yield block
        taken += len(block.samples)
        if choice != "ffmpeg" and taken >= patience * block.sample_rate:
            own = _agreeing(file, first, taken, block) if undamaged() else None
            break
    else:
        return
    given = 0
    if own is not None:
        for samples in own.samples():
            given += len(samples)
            yield Block(block.sample_rate, samples[:, None])
        if own.ended:
            return
    for block in blocks:
        passed = min(given, len(block.samples))
        given -= passed
        if passed < len(block.samples):
            yield Block(block.sample_rate, block.samples[passed:])


def _agreeing(file: BinaryIO, first: int, taken: int, last: Block) -> OwnFrames | None:
    """The own decoder, ready for the first sample behind FFmpeg's last block, of which it made the same; else None."""
    kind = kind_at(file, first)
    if kind is None or (kind.sample_rate, kind.channels) != (last.sample_rate, last.samples.shape[1]):
        return None
    frames, rest = divmod(taken, kind.frame_samples)
    compared = COMPARED_FRAMES * kind.frame_samples
    if rest or len(last.samples) < compared:
        return None
    try:
        own = OwnFrames(file, first, kind, frames)
    except Exception as error:  # whatever a compiler may raise
        logger.info("mp3 by FFmpeg alone: the kernel can't be compiled (%s: %s)", type(error).__name__, error)
        return None
    found = own.warm_up()
    if found is None or len(found) < compared:
        return None
    expected = last.samples[-compared:].mean(axis=1)
    difference = np.abs(found[-compared:] - expected).max()
    return own if difference <= AGREEMENT * max(1.0, float(np.abs(expected).max())) else None
