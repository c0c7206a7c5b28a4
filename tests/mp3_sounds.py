"""Mp3 files made on the fly: sounds that bring out every kind of block, and both decoders of a file side by side."""

import io
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import pytest
from av.codec.context import Flags2
from numpy.typing import NDArray

from arwkv_core.audio import open_audio
from arwkv_core.errors import AudioError
from arwkv_core.mp3.mono_blocks import DECODER_VARIABLE

Floats = NDArray[np.float32]

SOUNDS = ("noise", "tone", "clicks", "swelling", "clipped", "opposite", "silence")


def sound(kind: str, seconds: float, rate: int, channels: int, seed: int = 0) -> Floats:
    """Samples (channels, n); clicks make short blocks, what is opposite in two channels a loud difference."""
    random = np.random.default_rng(seed)
    frames = round(seconds * rate)
    time = np.arange(frames) / rate
    noise = random.standard_normal((channels, frames))
    if kind == "noise":
        samples = 0.3 * noise
    elif kind == "tone":
        samples = 0.9 * np.sin(2 * np.pi * np.array([[440.0], [1000.0]])[:channels] * time)
    elif kind == "clicks":
        samples = 1e-3 * noise
        samples[:, :: rate // 7] = 0.9
        samples[0, rate // 9 :: rate // 3] = -0.8
    elif kind == "swelling":
        samples = 0.2 * np.sin(2 * np.pi * (200 + 30 * time) * time) + 0.1 * noise * (np.sin(19 * time) > 0.7)
    elif kind == "clipped":
        samples = np.clip(3 * noise, -1, 1)
    elif kind == "opposite":
        samples = 0.2 * noise[:1] * np.array([[1.0], [-0.9]])[:channels]
    else:
        samples = 0.0 * noise
    return samples.astype(np.float32)


def encode(path: Path, samples: Floats, rate: int, bit_rate: int = 128_000, **options: str) -> Path:
    """Write samples (channels, n) with LAME."""
    layout = "mono" if len(samples) == 1 else "stereo"
    with av.open(str(path), "w", format="mp3") as output:
        track = output.add_stream("libmp3lame", rate=rate, layout=layout, options=options)
        track.bit_rate = bit_rate
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), "fltp", layout)
        frame.rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        for packet in [*track.encode(frame), *track.encode(None)]:
            output.mux(packet)
    return path


def ffmpeg_samples(path: Path) -> tuple[NDArray[np.float64], int]:
    """The mean of the channels by FFmpeg (n,), nothing trimmed, and the offset of the first frame."""
    first, blocks = None, []
    with av.open(str(path)) as container:
        track = container.streams.audio[0]
        track.codec_context.flags2 |= Flags2.skip_manual
        for packet in container.demux(track):
            first = packet.pos if first is None else first
            blocks += [frame.to_ndarray().mean(axis=0, dtype=np.float64) for frame in packet.decode()]
    assert first is not None
    return np.concatenate(blocks), first


class Heard(NamedTuple):
    """What is known of a file that was heard, or why it can't be."""

    samples: Floats
    facts: object


def hear(data: bytes, decoder: str, patch: pytest.MonkeyPatch, rate: int = 32_000) -> Heard:
    """Decode with FFmpeg alone (``ffmpeg``) or the own decoder as soon as may be (``own``)."""
    patch.setenv(DECODER_VARIABLE, decoder)
    try:
        with open_audio(io.BytesIO(data), sample_rate=rate) as audio:
            blocks = list(audio)
    except AudioError as error:
        return Heard(np.empty(0, np.float32), str(error))
    facts = (
        audio.header_seconds,
        audio.header_is_estimate,
        audio.decoded_seconds,
        audio.filled_seconds,
        audio.invalid_samples,
        audio.samples,
        audio.channels,
        audio.source_sample_rate,
        audio.warnings,
    )
    return Heard(np.concatenate(blocks), facts)
