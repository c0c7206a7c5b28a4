"""How fast log-mels are: at once, in a stream, and by torchaudio where it can be imported.

    python benchmarks/features.py [--minutes 60] [--threads 1 2]

Checks the golden file and a stream against it first, then prints times real time (the best of three).
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from arwkv_core.constants import MEL_HIGH_HZ, MEL_LOW_HZ, N_MELS, SAMPLE_RATE
from arwkv_core.features import log_mel, log_mel_blocks

GOLDEN = Path(__file__).parents[1] / "tests" / "data" / "fbank.npz"
BLOCK_SAMPLES = 10 * SAMPLE_RATE
REPEATS = 3
TOLERANCE = 2e-4


def torchaudio_fbank() -> Callable[[np.ndarray], np.ndarray] | None:
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


def stream(waveform: np.ndarray) -> np.ndarray:
    """Log-mels of a recording in blocks of 10 s."""
    blocks = (waveform[start : start + BLOCK_SAMPLES] for start in range(0, len(waveform), BLOCK_SAMPLES))
    return np.concatenate(list(log_mel_blocks(blocks)))


def check(reference: Callable[[np.ndarray], np.ndarray] | None) -> None:
    """Refuse to time what is wrong."""
    with np.load(GOLDEN) as golden:
        waveform, expected = golden["waveform"], golden["fbank"]
    ways = {"log_mel": log_mel, "stream": stream} | ({"torchaudio": reference} if reference else {})
    for name, way in ways.items():
        difference = np.abs(way(waveform) - expected).max()
        print(f"{name:12} largest difference from the golden file {difference:.1e}")
        if not difference <= TOLERANCE:
            sys.exit(f"{name}: expected at most {TOLERANCE}")


def times_real_time(way: Callable[[np.ndarray], object], waveform: np.ndarray) -> float:
    """Seconds of sound in a second of work."""
    best = float("inf")
    for _ in range(REPEATS):
        started = time.perf_counter()
        way(waveform)
        best = min(best, time.perf_counter() - started)
    return len(waveform) / SAMPLE_RATE / best


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, torch.get_num_threads()])
    options = parser.parse_args()
    reference = torchaudio_fbank()
    check(reference)
    samples = round(options.minutes * 60 * SAMPLE_RATE)
    waveform = 0.1 * np.random.default_rng(0).standard_normal(samples, dtype=np.float32)
    for threads in options.threads:
        torch.set_num_threads(threads)
        for name, way in {"log_mel": log_mel, "stream": stream}.items():
            speed = times_real_time(way, waveform)
            print(f"{name:12} {options.minutes:g} min, {threads} threads: {speed:6.0f} x real time")
        if reference is not None:
            minute = waveform[: 60 * SAMPLE_RATE]  # it holds all frames of the recording at once
            speed = times_real_time(reference, minute)
            print(f"{'torchaudio':12} 1 min, {threads} threads: {speed:6.0f} x real time")


if __name__ == "__main__":
    main()
