"""Memory and speed of long contexts: the whole recording at once, windows of a minute, the model's own windows.

    python benchmarks/context.py [--minutes 10 60] [--context full 60 own] [--model NAME] [--device cpu]

Log-mels are made up on the way, so that the model's work alone is measured. Each line is a process of its own, since
the peak of a process never falls again: "loaded" is its memory when the model is at hand, "peak" the highest until all
scores are there. Scores are dropped as they come.
"""

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import numpy as np

from arwkv_core.constants import HOP_SECONDS, N_MELS

BLOCK_FRAMES = 100


class MadeUpRecording:
    """What `open_audio` gives, but of log-mels: a second of noise whose level wanders."""

    header_seconds = None
    filled_seconds = 0.0
    invalid_samples = 0

    def __init__(self, seconds: float) -> None:
        self.decoded_seconds = seconds
        self.warnings: list[str] = []

    def __enter__(self) -> "MadeUpRecording":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def log_mels(self) -> Iterator[np.ndarray]:
        """Blocks ``(frames, 128)``."""
        random = np.random.default_rng(0)
        frames = round(self.decoded_seconds / HOP_SECONDS)
        for start in range(0, frames, BLOCK_FRAMES):
            level = -6 + 4 * np.sin(start / 700)
            yield random.normal(level, 2, (min(BLOCK_FRAMES, frames - start), N_MELS)).astype(np.float32)


def peak_megabytes() -> float:
    """Highest resident memory of this process so far, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def measure(model: str, device: str, context: str, minutes: float) -> None:
    """Score a recording and print one line; to be run in a fresh process."""
    from arwkv_core import load, recording

    tagger = load(model, device)
    tagger.scores(np.zeros((tagger.window_frames, N_MELS), np.float32))  # kernels compiled, libraries loaded
    loaded = peak_megabytes()
    audio = MadeUpRecording(60 * minutes)
    with (
        mock.patch.object(recording, "open_audio", return_value=audio),
        mock.patch.object(recording, "log_mel_blocks", lambda audio: audio.log_mels()),
    ):
        start, processor = time.perf_counter(), time.process_time()
        stream = tagger.stream("made-up.wav", context=None if context == "own" else context)
        steps = sum(map(len, stream))
        seconds, work = time.perf_counter() - start, time.process_time() - processor
    assert steps == stream.coverage.steps
    peak = peak_megabytes()
    print(
        f"{minutes:7g} {context:>8} {seconds:10.1f} {60 * minutes / seconds:10.0f} {work:10.1f}"
        f" {loaded:10.0f} {peak:10.0f} {peak - loaded:10.0f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, nargs="+", default=[10, 60])
    parser.add_argument("--context", nargs="+", default=["full", "60", "own"])
    parser.add_argument("--model", default="a-rwkv-t-open")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        measure(options.model, options.device, options.context[0], options.minutes[0])
        return
    print(
        f"{'minutes':>7} {'context':>8} {'seconds':>10} {'x real':>10} {'cpu s':>10} {'loaded MB':>10} {'peak MB':>10}"
        f" {'more MB':>10}",
        flush=True,
    )
    for minutes in options.minutes:
        for context in options.context:
            command = [sys.executable, str(Path(__file__)), "--one", "--model", options.model]
            command += ["--device", options.device, "--context", context, "--minutes", str(minutes)]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
