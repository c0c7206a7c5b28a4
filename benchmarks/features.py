"""What the front end costs: log-mels in times real time, and core-seconds from a file to its log-mels, by stages.

    python benchmarks/features.py [--minutes 10] [--threads 1 2] [--formats mp3 flac wav]

Checks log-mels against the golden file and the resampler against an exact one first. Then it prints medians of five
runs: log-mels of noise in memory, by the kernel, in a stream of blocks, by plain torch, and by torchaudio where it can
be imported; and what an hour of 44.1 kHz stereo, made of the recordings in examples/, costs in each stage.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
import torch

from arwkv_core import features_torch
from arwkv_core.audio import open_audio
from arwkv_core.audio_source import AudioSource
from arwkv_core.constants import MEL_HIGH_HZ, MEL_LOW_HZ, N_MELS, SAMPLE_RATE
from arwkv_core.decode import open_decoder
from arwkv_core.features import frame_count, log_mel, log_mel_blocks
from arwkv_core.resample import Resampler
from arwkv_core.sound_chunk import find_sound_chunk

CHECKOUT = Path(__file__).parents[1]
GOLDEN = CHECKOUT / "tests" / "data" / "fbank.npz"
EXAMPLES = [CHECKOUT / "examples" / name for name in ("minute.mp3", "rain.wav", "speech.flac", "thunder.ogg")]
BLOCK_SAMPLES = 10 * SAMPLE_RATE
FILE_RATE = 44_100
REPEATS = 5
TOLERANCE = 2e-4
RESAMPLING_TOLERANCE = 2e-4

Way = Callable[[np.ndarray], np.ndarray]


def by_torchaudio() -> Way | None:
    """The function that ours is equal to, or None where torchaudio doesn't fit the installed torch."""
    try:
        from torchaudio.compliance.kaldi import fbank
    except (ImportError, OSError, RuntimeError) as error:
        print(f"torchaudio can't be imported: {error}", file=sys.stderr)
        return None

    def run(waveform: np.ndarray) -> np.ndarray:
        return fbank(
            torch.from_numpy(waveform)[None],
            htk_compat=True,
            sample_frequency=SAMPLE_RATE,
            window_type="hanning",
            num_mel_bins=N_MELS,
            dither=0.0,
            low_freq=MEL_LOW_HZ,
            high_freq=MEL_HIGH_HZ,
        ).numpy()

    return run


def by_torch(waveform: np.ndarray) -> np.ndarray:
    """Log-mels by the reference."""
    out = torch.empty(frame_count(len(waveform)), N_MELS)
    features_torch.fill(torch.from_numpy(waveform), out)
    return out.numpy()


def by_stream(waveform: np.ndarray) -> np.ndarray:
    """Log-mels of a recording in blocks of 10 s."""
    blocks = (waveform[start : start + BLOCK_SAMPLES] for start in range(0, len(waveform), BLOCK_SAMPLES))
    return np.concatenate(list(log_mel_blocks(blocks)))


def check(ways: dict[str, Way]) -> None:
    """Refuse to time what is wrong."""
    with np.load(GOLDEN) as golden:
        waveform, expected = golden["waveform"], golden["fbank"]
    for name, way in ways.items():
        difference = np.abs(way(waveform) - expected).max()
        print(f"{name:12} largest difference from the golden file {difference:.1e}")
        if not difference <= TOLERANCE:
            sys.exit(f"{name}: expected at most {TOLERANCE}")
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(2 * FILE_RATE))
    spectrum[np.fft.rfftfreq(2 * FILE_RATE, 1 / FILE_RATE) > 0.45 * SAMPLE_RATE] = 0
    sound = (0.1 * np.fft.irfft(spectrum, 2 * FILE_RATE)).astype(np.float32)
    exact = 0.1 * np.fft.irfft(spectrum, 2 * SAMPLE_RATE) * (SAMPLE_RATE / FILE_RATE)
    resampler = Resampler(FILE_RATE, SAMPLE_RATE)
    heard = np.concatenate([resampler.push(sound), resampler.flush()])
    difference = np.abs(heard - exact)[2_000:-2_000].max()
    print(f"{'resampler':12} largest difference from exact resampling {difference:.1e}")
    if not difference <= RESAMPLING_TOLERANCE:
        sys.exit(f"resampler: expected at most {RESAMPLING_TOLERANCE}")


def median(work: Callable[[], object], clock: Callable[[], float]) -> float:
    """Seconds on a clock, of the middle one of the runs."""
    seconds = []
    for _ in range(REPEATS):
        started = clock()
        work()
        seconds.append(clock() - started)
    return statistics.median(seconds)


def make_file(path: Path, minutes: float) -> Path:
    """The examples one after the other, again and again, as 44.1 kHz stereo."""
    pieces = []
    for example in EXAMPLES:
        with open_audio(example, sample_rate=FILE_RATE) as audio:
            pieces += list(audio)
    sound = np.concatenate(pieces)
    stereo = np.stack((sound, 0.8 * np.roll(sound, 211)), axis=1)
    frames = round(minutes * 60 * FILE_RATE)
    with soundfile.SoundFile(path, "w", FILE_RATE, 2) as file:
        while frames:
            piece = stereo[:frames]
            for start in range(0, len(piece), FILE_RATE):  # libsndfile has crashed on huge writes of mp3
                file.write(piece[start : start + FILE_RATE])
            frames -= len(piece)
    return path


def decode(path: Path) -> None:
    """All samples of all channels."""
    source = AudioSource(path)
    decoder = open_decoder(source, find_sound_chunk(source.file, source.size))
    for _ in decoder.blocks():
        pass
    decoder.close()
    source.close()


def downmix(path: Path, sample_rate: int) -> None:
    """Mono blocks at a sample rate."""
    with open_audio(path, sample_rate=sample_rate) as audio:
        for _ in audio:
            pass


def hear(path: Path) -> None:
    """Log-mels."""
    with open_audio(path) as audio:
        for _ in log_mel_blocks(audio):
            pass


def print_stages(path: Path, minutes: float) -> None:
    """Core-seconds of an hour of sound: each stage is the difference between the work with and without it."""
    stages: dict[str, Callable[[], None]] = {
        "decode": lambda: decode(path),
        "downmix": lambda: downmix(path, FILE_RATE),
        "resample": lambda: downmix(path, SAMPLE_RATE),
        "features": lambda: hear(path),
    }
    before = 0.0
    parts = []
    for name, work in stages.items():
        seconds = median(work, time.process_time) * 60 / minutes
        parts.append(f"{name} {seconds - before:.2f}")
        before = seconds
    print(f"{path.suffix[1:]:12} core-seconds an hour: {', '.join(parts)}; in all {before:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, torch.get_num_threads()])
    parser.add_argument("--formats", nargs="*", default=["mp3", "flac", "wav"])
    options = parser.parse_args()
    ways: dict[str, Way] = {"log_mel": log_mel, "stream": by_stream, "torch": by_torch}
    if reference := by_torchaudio():
        ways["torchaudio"] = reference
    check(ways)
    samples = round(options.minutes * 60 * SAMPLE_RATE)
    waveform = 0.1 * np.random.default_rng(0).standard_normal(samples, dtype=np.float32)
    for threads in options.threads:
        torch.set_num_threads(threads)
        for name, way in ways.items():
            heard = waveform[: 60 * SAMPLE_RATE] if name == "torchaudio" else waveform  # it holds all frames
            seconds = median(lambda way=way, heard=heard: way(heard), time.perf_counter)
            minutes = len(heard) / SAMPLE_RATE / 60
            print(f"{name:12} {minutes:g} min, {threads} threads: {60 * minutes / seconds:6.0f} x real time")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        for suffix in options.formats:
            print_stages(make_file(Path(folder) / f"sound.{suffix}", options.minutes), options.minutes)


if __name__ == "__main__":
    main()
