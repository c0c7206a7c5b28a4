"""Twelve hours in one file: memory, coverage, and the same scores as those of its first minutes alone.

    python benchmarks/long_file.py [--hours 12] [--formats wav flac mp3 m4a] [--model a-rwkv-t-open] [--folder FOLDER]

Ten minutes of the examples are made into one long file per format: a wav beyond 4 GiB's neighbourhood, a flac, an mp3
whose header tells of the first ten minutes only, an m4a. `arwkv tag --scores` runs on each and on the ten minutes
alone, in a process of its own. Prints peak memory, coverage and the largest difference of the scores; exits with 1 if
the long run takes 150 MB more than the short one, if anything was not heard, or if scores differ.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import soundfile

from arwkv_core import open_audio
from arwkv_core.constants import STEP_SECONDS
from arwkv_core.score_file import SUFFIX, StoredScores

RATE = 44_100
MINUTES = 10
MOST_MEMORY = 150e6  # bytes that a long file may take more than a short one
EXAMPLES = Path(__file__).parents[1] / "examples"
CODECS = {"mp3": "libmp3lame", "m4a": "aac"}


def ten_minutes() -> np.ndarray:
    """The examples one after the other, again and again, at changing levels."""
    clips = []
    for path in sorted(EXAMPLES.iterdir()):
        if path.suffix in (".mp3", ".flac", ".wav", ".ogg"):
            with open_audio(path, sample_rate=RATE) as audio:
                clips.append(np.concatenate(list(audio)))
    rng, parts, length = np.random.default_rng(0), [], 0
    while length < MINUTES * 60 * RATE:
        clip = clips[rng.integers(len(clips))]
        parts.append(clip * rng.uniform(0.3, 1.0))
        length += len(clip)
    return np.concatenate(parts)[: MINUTES * 60 * RATE].astype(np.float32)


def write(path: Path, sound: np.ndarray, times: int) -> None:
    """Write the sound so many times, one after the other, in the format of the path's ending."""
    if path.suffix in (".wav", ".flac"):
        with soundfile.SoundFile(path, "w", RATE, 1, "PCM_16", format=path.suffix[1:].upper()) as file:
            for _ in range(times):
                for start in range(0, len(sound), RATE):
                    file.write(sound[start : start + RATE])
        return
    once = path.with_name(f"once{path.suffix}")
    encode(once, sound)
    if path.suffix == ".mp3":
        with path.open("wb") as file:
            for _ in range(times):
                file.write(once.read_bytes())
    else:
        repeat_packets(once, path, times)
    once.unlink()


def encode(path: Path, sound: np.ndarray) -> None:
    """Encode a sound by FFmpeg."""
    with av.open(str(path), "w") as output:
        track = output.add_stream(CODECS[path.suffix[1:]], rate=RATE, layout="mono")
        for start in range(0, len(sound), RATE):
            frame = av.AudioFrame.from_ndarray(sound[None, start : start + RATE], "fltp", "mono")
            frame.rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
            output.mux(track.encode(frame))
        output.mux(track.encode(None))


def repeat_packets(once: Path, path: Path, times: int) -> None:
    """Copy the packets of a file again and again, their clock going on."""
    with av.open(str(path), "w") as output:
        track, offset = None, 0
        for _ in range(times):
            with av.open(str(once)) as source:
                stream = source.streams.audio[0]
                track = track or output.add_stream_from_template(stream)
                for packet in source.demux(stream):
                    if packet.size:
                        packet.pts = packet.dts = offset
                        offset += packet.duration
                        packet.stream = track
                        output.mux(packet)


def run(path: Path, scores: Path, model: str) -> tuple[float, float]:
    """Let a process of its own keep the scores of a file; give back its seconds and its peak memory in bytes."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "arwkv_cli", "tag", str(path), "--scores", str(scores), "--model", model]
    process = subprocess.Popen([*command, "--format", "json", "--quiet"], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{path.name}: exit code {process.returncode}")
    return time.perf_counter() - started, usage.ru_maxrss * 1024.0


def first_steps(path: Path, steps: int) -> np.ndarray:
    """The first steps of kept scores."""
    blocks, found = [], 0
    for block in StoredScores(path):
        blocks.append(block)
        found += len(block)
        if found >= steps:
            break
    return np.concatenate(blocks)[:steps]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hours", type=float, default=12.0)
    parser.add_argument("--formats", nargs="+", default=["wav", "flac", "mp3", "m4a"])
    parser.add_argument("--model", default="a-rwkv-t-open")
    parser.add_argument(
        "--folder", type=Path, help="for the files, which are large; a temporary one by default"
    )
    options = parser.parse_args()
    sound, times, failed = ten_minutes(), round(options.hours * 60 / MINUTES), False
    heads = ("decoded h", "unheard s", "x real time", "peak MB", "more MB", "difference", "MB/h")
    print("      " + "".join(f"{head:>12}" for head in heads))
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for kind in options.formats:
            short, long = Path(folder, f"short.{kind}"), Path(folder, f"long.{kind}")
            write(short, sound, 1)
            write(long, sound, times)
            _, short_peak = run(short, Path(folder), options.model)
            seconds, peak = run(long, Path(folder), options.model)
            kept = Path(folder, f"long.{kind}{SUFFIX}")
            coverage = StoredScores(kept).coverage
            # the last window of the short file was moved back and hears its end: compare what lies before it
            steps = int((MINUTES * 60 - 20) / STEP_SECONDS)
            pair = [first_steps(Path(folder, f"{name}.{kind}{SUFFIX}"), steps) for name in ("short", "long")]
            difference = np.abs(pair[0] - pair[1]).max()
            unheard = coverage.decoded_seconds - coverage.analysed_seconds
            hours = coverage.decoded_seconds / 3600
            speed, more = coverage.decoded_seconds / seconds, peak - short_peak
            size = kept.stat().st_size / 1e6 / hours
            print(
                f"{kind:6}{hours:12.3f}{unheard:12.3f}{speed:12.0f}{peak / 1e6:12.0f}{more / 1e6:12.0f}"
                f"{difference:12.1e}{size:12.2f}",
                flush=True,
            )
            heard_all = unheard < 0.01 and abs(hours - options.hours) < options.hours * 1e-3
            failed |= more > MOST_MEMORY or not heard_all or difference > 0
            long.unlink()
    if failed:
        sys.exit("a long file takes more memory than it may, was not heard to its end, or gets other scores")


if __name__ == "__main__":
    main()
