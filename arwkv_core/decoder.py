"""What a decoder is: an open recording that gives blocks of samples, and says what its header promised."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator
from typing import NamedTuple

import numpy as np

from arwkv_core.audio_source import AudioSource

MOST_BLOCK_FRAMES = 32_768
MOST_BLOCK_VALUES = 1 << 19
"""Frames times channels in a block at most, so that 64 channels don't take 64 times the memory."""


class DecodeError(Exception):
    """A decoder can't open or read a file; another may."""


class NoAudioTrack(DecodeError):
    """The file was understood, and there is no sound in it: no other decoder need try."""


class Resolution(NamedTuple):
    """How finely a recording's samples are told apart; a block of float32 holds 24 bits exactly."""

    bits: int
    """Of a sample: 8, 16, 24 or 32; of floating point 32 or 64."""
    floating: bool
    """Whether samples have a floating point, so that they may go beyond full scale."""


class Block(NamedTuple):
    """Samples of all channels. Rate and channels may change from block to block: streams can be joined."""

    sample_rate: int
    """Hz."""
    samples: np.ndarray
    """(frames, channels) float32 (or what `Decoder.sample_type` says), full scale at ±1."""
    peak: float | None = None
    """Their largest magnitude, where the decoder knows it; all are numbers then."""

    def cut(self, start: int, stop: int) -> Block:
        """The samples from `start` up to `stop`; the block itself, if that is all of them."""
        if start == 0 and stop == len(self.samples):
            return self
        return Block(self.sample_rate, self.samples[start:stop])


class Decoder(ABC):
    """An open recording.

    Attributes
    ----------
    sample_rate : int
        Hz, of the first block.
    channels : int
        Of the first block.
    header_seconds : float or None
        Duration by the header, or None where it doesn't tell.
    header_is_exact : bool
        True where every sample is counted: wav, flac.
    header_is_estimate : bool
        True where `header_seconds` comes from the bit rate or from other tracks.
    resolution : Resolution
        Of its samples; compressed with losses, they have a floating point.
    sample_type : str
        Of the blocks: ``float32``. Set it to ``float64`` before the first block to get more than 24 bits, where
        the decoder can.
    mono_will_do : bool
        False. Set it before the first block where only the mean of the channels is wanted: blocks may then have that
        alone, as their only channel.
    filled_frames : int
        Frames of silence given in place of lost sound.
    warnings : list of str
        What was wrong, without the file's name.
    """

    def __init__(self, source: AudioSource) -> None:
        self.source = source
        self.sample_rate = 0
        self.channels = 0
        self.header_seconds: float | None = None
        self.header_is_exact = False
        self.header_is_estimate = False
        self.resolution = Resolution(32, floating=True)
        self.sample_type = "float32"
        self.mono_will_do = False
        self.filled_frames = 0
        self.warnings: list[str] = []

    @abstractmethod
    def blocks(self) -> Generator[Block, None, None]:
        """Give the samples, in blocks of at least one frame."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the decoder, not of its source."""
