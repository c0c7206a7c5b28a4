"""Recordings that are made up: tones, noise and silence, as waveforms, log-mels and mp3 files."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from arwkv_core.constants import N_MELS

Floats = NDArray[np.float32]

MP3_RATE = 44_100
MP3_BIT_RATE = 128_000
PACKET_SAMPLES = 1_152
PIECE_SECONDS = 60
"""Of sound that a long recording repeats."""


def waveform(seconds: float, rate: int, seed: int = 0) -> Floats:
    """A tone that glides, noise that swells and fades, and a pause each ten seconds: ``(samples,)``, in ±1."""
    samples = round(seconds * rate)
    time = np.arange(samples) / rate
    noise = np.random.default_rng(seed).standard_normal(samples, dtype=np.float32)
    glide = np.sin(2 * np.pi * (300 * time + 40 * np.sin(2 * np.pi * time / 7)))
    swell = 0.5 + 0.5 * np.sin(2 * np.pi * time / 3.1)
    sound = 0.25 * glide + 0.1 * swell * noise
    sound[np.mod(time, 10) > 9.5] *= 1e-3
    return sound.astype(np.float32)


def log_mels(windows: int, frames: int, seed: int = 0) -> Floats:
    """Log-mels of noise whose level wanders, not normalised: ``(windows, frames, 128)``."""
    random = np.random.default_rng(seed)
    level = -6 + 4 * np.sin(np.arange(frames) / 70)[:, None]
    return (level + 2 * random.standard_normal((windows, frames, N_MELS))).astype(np.float32)


def write_mp3(path: Path, seconds: float) -> None:
    """Write a 44.1 kHz stereo mp3 of this length, to a packet: a minute of sound again and again."""
    once = path.with_name(f"{path.stem}-piece.mp3")
    packets = _encode(once, waveform(min(seconds, PIECE_SECONDS), MP3_RATE))
    piece = once.read_bytes()
    once.unlink()
    # counted in packets: a piece is up to two of them longer than a minute, which would add up
    whole, rest = divmod(round(seconds * MP3_RATE / PACKET_SAMPLES), len(packets))
    with path.open("wb") as file:
        for _ in range(whole):
            file.write(piece)
        file.write(piece[: sum(packets[:rest])])


def _encode(path: Path, mono: Floats) -> list[int]:
    """Write a piece and give the sizes of its packets, which are all that the file holds."""
    import av

    left, right = mono, np.roll(mono, MP3_RATE // 50)
    stereo = np.stack([left, right])
    sizes = []
    with av.open(str(path), "w", format="mp3", options={"write_xing": "0", "id3v2_version": "0"}) as output:
        track = output.add_stream("libmp3lame", rate=MP3_RATE, layout="stereo")
        track.bit_rate = MP3_BIT_RATE
        for start in range(0, stereo.shape[1], MP3_RATE):
            block = np.ascontiguousarray(stereo[:, start : start + MP3_RATE])
            frame = av.AudioFrame.from_ndarray(block, "fltp", "stereo")
            frame.rate, frame.pts, frame.time_base = MP3_RATE, start, Fraction(1, MP3_RATE)
            for packet in track.encode(frame):
                sizes.append(packet.size)
                output.mux(packet)
        for packet in track.encode(None):
            sizes.append(packet.size)
            output.mux(packet)
    return sizes
