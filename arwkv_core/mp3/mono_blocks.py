"""The blocks of an mp3 as mono: the first seconds by FFmpeg, what follows by the own decoder where that agrees.

FFmpeg remains the judge. The own decoder begins in the midst of what FFmpeg has decoded, and goes on only if it made
the same of it; where it meets anything unusual FFmpeg goes on, from some frames before. Nothing is lost or given twice.
Shorter recordings never load the compiled decoder.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Generator, Iterator
from itertools import chain
from typing import BinaryIO, Protocol

import numpy as np

from arwkv_core.decoder import Block, DecodeError
from arwkv_core.mp3.own_frames import OwnFrames
from arwkv_core.mp3.stream_kind import kind_at

logger = logging.getLogger("arwkv.audio")

DECODER_VARIABLE = "ARWKV_MP3_DECODER"
"""Environment variable: ``ffmpeg`` leaves the own decoder out, ``own`` takes it after the first block."""

FFMPEG_SECONDS = 20.0
"""Sound that FFmpeg decodes before the own decoder is asked."""
WORTH_COMPILING_SECONDS = 1200.0
"""Compiling the own decoder takes seconds, once on a machine: FFmpeg decodes all of recordings whose header says that
they are shorter. Later too: what is heard must not depend on what a machine has compiled before."""
COMPARED_FRAMES = 8
FEWEST_FRAMES_BEFORE = 32
"""Where FFmpeg begins in the midst of a file, its decoder needs some frames to be where it would have been."""
AGREEMENT = 1e-4
"""Of full scale, or of the loudest sample where that is beyond: rounding differs by a tenth of this at most."""


class Judge(Protocol):
    """FFmpeg's decoder of the same file."""

    header_seconds: float | None

    def is_undamaged(self) -> bool:
        """Whether nothing was found wrong so far, so that as many frames are behind it as it gave."""

    def blocks_from(self, offset: int, seconds: float) -> Iterator[Block]:
        """Blocks of the frames from an offset (bytes) to the end of the file; what is before them takes `seconds`."""


def mono_blocks(
    blocks: Iterator[Block], file: BinaryIO, first: int, judge: Judge
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
    judge : Judge
    """
    choice = os.environ.get(DECODER_VARIABLE, "")
    patience = 0.0 if choice == "own" else FFMPEG_SECONDS
    taken = 0
    own = None
    for block in blocks:
        yield block
        taken += len(block.samples)
        if choice != "ffmpeg" and taken >= patience * block.sample_rate:
            asked = judge.is_undamaged() and (choice == "own" or _is_worth_it(judge.header_seconds))
            own = _agreeing(file, first, taken, block) if asked else None
            break
    else:
        return
    given = 0
    if own is not None:
        for samples in own.samples():
            given += len(samples)
            yield Block(block.sample_rate, samples[:, None], own.peak)
        if own.ended:
            return
        offset = file.tell()
        rest = _continued(own, judge, (taken + given) / block.sample_rate)
        if rest is not None:
            yield from rest
            return
        file.seek(offset)
    yield from _without(blocks, given)


def _without(blocks: Iterator[Block], samples: int) -> Iterator[Block]:
    """Blocks without so many samples at the beginning."""
    for block in blocks:
        passed = min(samples, len(block.samples))
        samples -= passed
        if passed < len(block.samples):
            yield block.cut(passed, len(block.samples))


def _continued(own: OwnFrames, judge: Judge, seconds: float) -> Iterator[Block] | None:
    """What FFmpeg makes of the frames behind the own decoder's; None if it isn't sure to be what it would have made.

    It begins some frames before, the last of which it has to decode to the same.
    """
    offset, frames, tail = own.last_frames()
    per_frame = own.kind.frame_samples
    compared = min(COMPARED_FRAMES * per_frame, len(tail))
    before = frames * per_frame
    if frames < FEWEST_FRAMES_BEFORE or not compared:
        return None
    try:
        blocks = judge.blocks_from(offset, seconds - before / own.kind.sample_rate)
        gathered: list[Block] = []
        while sum(len(block.samples) for block in gathered) < before:
            gathered.append(next(blocks))
    except DecodeError:
        return None
    except StopIteration:  # the file has become shorter: there is nothing to add
        return iter(())
    if {(block.sample_rate, block.samples.shape[1]) for block in gathered} != {own.kind[2:]}:
        return None
    found = np.concatenate([block.samples for block in gathered])[:before].mean(axis=1)[-compared:]
    if not _agree(tail[-compared:], found):
        return None
    return _without(chain(gathered, blocks), before)


def _agree(found: np.ndarray, expected: np.ndarray) -> bool:
    """Whether samples (n,) are the same but for rounding."""
    return float(np.abs(found - expected).max()) <= AGREEMENT * max(1.0, float(np.abs(expected).max()))


def _is_worth_it(seconds: float | None) -> bool:
    """Whether a recording is long enough for the own decoder."""
    return seconds is not None and seconds >= WORTH_COMPILING_SECONDS


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
    return own if _agree(found[-compared:], last.samples[-compared:].mean(axis=1)) else None
