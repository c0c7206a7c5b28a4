"""What an mp3 costs before the model hears it, with the own decoder and resampler and with FFmpeg's and soxr's alone.

    python benchmarks/front_end.py [--minutes 60] [--repeats 5] [FILE ...]

Without files: an mp3 of 44.1 kHz stereo, as `arwkv bench` has it. First it checks that both ways give the same samples
and say the same of the file. Then it prints, for each file, medians of core-seconds an hour of sound: of decoding and
mixing to mono, of resampling, of log-mels. Both ways run in turn, in one process, so that a disturbance meets both.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from arwkv_core import resample
from arwkv_core.audio import AudioStream, open_audio
from arwkv_core.benchmark.recordings import write_mp3
from arwkv_core.constants import SAMPLE_RATE
from arwkv_core.features import LogMelStream
from arwkv_core.mp3.mono_blocks import DECODER_VARIABLE, WORTH_COMPILING_SECONDS
from arwkv_core.own_process import settle
from arwkv_kernels import mp3_cpu
from arwkv_kernels.numba_cache import kernel

WAYS = {"own": ("", resample.SOXR_SECONDS), "FFmpeg, soxr": ("ffmpeg", 1_000_000)}
TOLERANCE = 2e-5  # of the loudest sample
LEAST_MINUTES = WORTH_COMPILING_SECONDS / 60


def opened(path: Path, way: str, sample_rate: int | None = None) -> AudioStream:
    """The recording, decoded in one of the two ways; at its own rate if none is given."""
    os.environ[DECODER_VARIABLE], resample.SOXR_SECONDS = WAYS[way]
    if sample_rate is None:
        with open_audio(path) as audio:
            sample_rate = audio.source_sample_rate
    return open_audio(path, sample_rate=sample_rate)


def check(path: Path) -> tuple[float, float, float]:
    """Seconds, and the largest and the mean difference of log-mels; ends the program where samples differ by more."""
    from arwkv_core.features import log_mel

    heard = {}
    for way in WAYS:
        with opened(path, way, SAMPLE_RATE) as audio:
            heard[way] = (
                np.concatenate(list(audio)),
                (audio.decoded_seconds, audio.header_seconds, audio.warnings),
            )
    (own, said), (ffmpeg, expected) = heard["own"], heard["FFmpeg, soxr"]
    if said != expected or len(own) != len(ffmpeg):
        sys.exit(f"{path}: the two say different things of it: {said}, {expected}")
    off = float(np.abs(own - ffmpeg).max())
    if off > TOLERANCE * max(1.0, float(np.abs(ffmpeg).max())):
        sys.exit(f"{path}: samples differ by {off:.2g}")
    mels = np.abs(log_mel(own) - log_mel(ffmpeg))
    return said[0], float(mels.max()), float(mels.mean())


def stages(path: Path, way: str) -> tuple[float, float, float]:
    """Core-seconds of decoding and mixing, of resampling, of log-mels."""
    with opened(path, way) as audio:
        start = time.process_time()
        for _ in audio:
            pass
        decoding = time.process_time() - start
    with opened(path, way, SAMPLE_RATE) as audio:
        stream = LogMelStream()
        mels = 0.0
        start = time.process_time()
        for block in audio:
            before = time.process_time()
            stream.push(block)
            mels += time.process_time() - before
        whole = time.process_time() - start
    return decoding, whole - mels - decoding, mels


def measure(path: Path, repeats: int) -> None:
    """Print what a file costs."""
    seconds, most, mean = check(path)
    print(
        f"{path.name}: {seconds / 60:.1f} minutes; log-mels differ by {most:.2g} at most, {mean:.2g} on average"
    )
    runs: dict[str, list[tuple[float, float, float]]] = {way: [] for way in WAYS}
    for _ in range(repeats):
        for way in WAYS:
            runs[way].append(tuple(3600 / seconds * cost for cost in stages(path, way)))
    print("core-seconds an hour | decoding, mono | resampling | log-mels | decoding and resampling")
    for way, costs in runs.items():
        decoding, resampling, mels = (statistics.median(column) for column in zip(*costs, strict=True))
        both = statistics.median(cost[0] + cost[1] for cost in costs)
        print(f"{way:20} | {decoding:14.2f} | {resampling:10.2f} | {mels:8.2f} | {both:8.2f}")
    pairs = zip(runs["FFmpeg, soxr"], runs["own"], strict=True)
    ratio = statistics.median((old[0] + old[1]) / (new[0] + new[1]) for old, new in pairs)
    print(f"decoding and resampling by our own: {ratio:.2f} × as fast")


def main() -> None:
    settle()  # as the command does
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--minutes", type=float, default=60.0, help="of the recording that is made up")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    if arguments.minutes < LEAST_MINUTES:
        parser.error(f"--minutes: expected at least {LEAST_MINUTES:g}: of less the own decoder hears nothing")
    kernel(*mp3_cpu.FRAMES)  # compiled before anything is timed
    with tempfile.TemporaryDirectory() as folder:
        if not arguments.files:
            made_up = Path(folder) / "made-up.mp3"
            write_mp3(made_up, 60 * arguments.minutes)
            arguments.files = [made_up]
        for path in arguments.files:
            measure(path, arguments.repeats)


if __name__ == "__main__":
    main()
