"""Sound files made on the fly, whole and damaged, for the tests of the audio front end."""

import struct
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from arwkv_core.audio import AudioStream, open_audio

Samples = NDArray[np.float32]


def tones(seconds: float, rate: int = 44_100, channels: int = 2) -> Samples:
    """A tone of its own for each channel (300, 500, 700 Hz ...) and a little noise: (frames, channels)."""
    time = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(0).standard_normal((len(time), channels))
    pitch = 300.0 + 200.0 * np.arange(channels)
    return (0.3 * np.sin(2 * np.pi * pitch * time[:, None]) + 0.01 * noise).astype(np.float32)


def encode(
    path: Path,
    codec: str,
    samples: Samples,
    rate: int,
    layout: str = "stereo",
    container: str | None = None,
    video: bool = False,
    options: dict[str, str] | None = None,
) -> Path:
    """Write samples (frames, channels) with one of FFmpeg's encoders, or only a picture if there are none."""
    with av.open(str(path), "w", format=container, options=options or {}) as output:
        if video:
            picture = output.add_stream("mpeg4", rate=10)
            picture.width = picture.height = 64
            picture.pix_fmt = "yuv420p"
        if len(samples):
            sound = output.add_stream(codec, rate=rate, layout=layout)
            sound.bit_rate = 128_000
            frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), "flt", layout)
            frame.rate, frame.pts = rate, 0
            context = sound.codec_context
            convert = av.AudioResampler(context.format, layout, rate, frame_size=context.frame_size or 1024)
            for piece in [*convert.resample(frame), *convert.resample(None)]:
                output.mux(sound.encode(piece))
            output.mux(sound.encode(None))
        if video:
            for _ in range(10):
                still = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), "rgb24")
                output.mux(picture.encode(still))
            output.mux(picture.encode(None))
    return path


def mp3(path: Path, seconds: float = 3.0, rate: int = 44_100, channels: int = 2) -> Path:
    """An mp3 with a LAME header."""
    layout = "stereo" if channels == 2 else "mono"
    return encode(path, "libmp3lame", tones(seconds, rate, channels), rate, layout)


def with_frame_count(whole: bytes, frames: int) -> bytes:
    """The mp3 with another number of frames in its header."""
    tag = max(whole.find(b"Xing"), whole.find(b"Info"))
    assert tag > 0
    return whole[: tag + 8] + struct.pack(">I", frames) + whole[tag + 12 :]


def with_data_size(whole: bytes, size: int) -> bytes:
    """The wav with another size of its samples in its header."""
    at = whole.index(b"data") + 4
    return whole[:at] + struct.pack("<I", size) + whole[at + 4 :]


def with_flac_total(whole: bytes, samples: int) -> bytes:
    """The flac with another number of samples in its header; 0 is 'unknown'."""
    at = 8 + 13  # "fLaC", the block's header, then 36 bits that end 18 bytes into the block
    return whole[:at] + bytes([whole[at] & 0xF0]) + struct.pack(">I", samples) + whole[at + 5 :]


def overwritten(whole: bytes, at: float, size: int) -> bytes:
    """The file with `size` bytes of noise from the fraction `at` of its length on."""
    start = int(at * len(whole))
    return whole[:start] + np.random.default_rng(1).bytes(size) + whole[start + size :]


def read(path: object, **options: object) -> tuple[AudioStream, Samples]:
    """The exhausted stream and all that it gave."""
    with open_audio(path, **options) as audio:  # type: ignore[arg-type]
        blocks = list(audio)
    samples = np.concatenate(blocks)
    assert samples.dtype == np.float32
    assert np.isfinite(samples).all()
    assert len(samples) == audio.samples
    assert abs(audio.samples / audio.sample_rate - audio.decoded_seconds) <= 0.6 / audio.sample_rate
    return audio, samples
