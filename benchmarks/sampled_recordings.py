"""A share of a big package's recordings: those that the corpus lacks, evenly from all folders.

Of a long recording up to four parts of ten seconds are taken; short ones of a folder are joined, with a breath
between, until they last six seconds, as the corpus joins them.
"""

from collections import defaultdict
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import soundfile
from sound_packs import SOUNDS, Sound

PART_SECONDS, PARTS = 10.0, 4
JOINED_SECONDS, BREATH_SECONDS, SHORTEST_SECONDS = 6.0, 0.25, 0.15


def sampled(
    rng: np.random.Generator, folder: Path, patterns: list[str], known: set[str], minutes: float
) -> Iterator[Sound]:
    """Sounds of at most ten seconds, until they last so many minutes.

    Parameters
    ----------
    rng : Generator
    folder : Path
        The unpacked package.
    patterns : list of str
        Shell patterns of names below it, any of which will do.
    known : set of str
        Names, without their ends, of recordings that the corpus holds.
    minutes : float
    """
    groups = grouped(folder, patterns, known)
    heard: set[bytes] = set()
    left = 60 * minutes
    for k in rng.permutation(len(groups)):
        if left <= 0:
            return
        for sound in parts(rng, folder, groups[k]):
            mark = sound.waveform.tobytes()
            if mark not in heard:
                heard.add(mark)
                left -= len(sound.waveform) / sound.rate
                yield sound


def grouped(folder: Path, patterns: list[str], known: set[str]) -> list[list[str]]:
    """Names that belong together: one long recording, or short ones of a folder, rate and number of channels."""
    long, short = [], defaultdict(list)
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()):
        name = path.relative_to(folder).as_posix()
        if path.suffix.lower() not in SOUNDS or path.stem in known:
            continue
        if not any(fnmatchcase(name, pattern) for pattern in patterns):
            continue
        try:
            info = soundfile.info(path)
        except soundfile.LibsndfileError:  # a film, for one
            continue
        if info.duration >= JOINED_SECONDS:
            long.append([name])
        elif info.duration >= SHORTEST_SECONDS:
            short[path.parent, info.samplerate, info.channels].append((name, info.duration))
    groups = long
    for entries in short.values():
        group: list[str] = []
        seconds = 0.0
        for name, duration in entries:
            if group and seconds + duration > PART_SECONDS:
                groups.append(group)
                group, seconds = [], 0.0
            group.append(name)
            seconds += duration + BREATH_SECONDS
            if seconds >= JOINED_SECONDS:
                groups.append(group)
                group, seconds = [], 0.0
        if group:
            groups.append(group)
    return sorted(groups)


def parts(rng: np.random.Generator, folder: Path, names: list[str]) -> Iterator[Sound]:
    """Some of a long recording, or short ones joined."""
    if len(names) == 1:
        with soundfile.SoundFile(folder / names[0]) as file:
            size = round(PART_SECONDS * file.samplerate)
            room = max(0, file.frames - size)
            count = min(PARTS, 1 + room // (2 * size))
            for part in range(count):
                file.seek(int(room * (part + rng.random()) / count))
                waveform = file.read(size, dtype="float32", always_2d=True)
                yield Sound(names[0], waveform, file.samplerate)
        return
    pieces = []
    for name in names:
        waveform, rate = soundfile.read(folder / name, dtype="float32", always_2d=True)
        pieces += [waveform, np.zeros((round(BREATH_SECONDS * rate), waveform.shape[1]), np.float32)]
    yield Sound("|".join(Path(name).name for name in names), np.concatenate(pieces[:-1]), rate)
