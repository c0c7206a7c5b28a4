"""Copies of recordings as they sound elsewhere: aboard, far away, or for a moment only.

Of few classes are there recordings of each of these. Numbers are drawn from ranges that are meant to hold the real
ones, not measured. All sounds are of 32 kHz, float32, ``(samples,)``.
"""

import numpy as np
from generated_sounds import RATE, band, coloured, drift, loud, unit

LOUD_PART = 10 ** (-14 / 20)
"""A burst is louder than that, against the loudest 10 ms of the recording."""

ENVELOPE, GAP = RATE // 100, 4
"""Samples of a step of the envelope; quiet steps that do not end a burst."""

SHORTEST_BURST, LONGEST_BURST = 0.06, 0.35
"""In seconds."""


def aboard(rng: np.random.Generator, sound: np.ndarray) -> np.ndarray:
    """As heard in a cabin or through a wall: dull, over rumble and a little hiss."""
    edge = np.exp(rng.uniform(np.log(250), np.log(1500)))
    dull = band(sound, rng.uniform(15, 50), edge)
    if rng.random() < 0.5:
        dull = band(dull, 15, 1.5 * edge)
    rumble = band(coloured(rng, len(sound), rng.uniform(-9, -5)), 20, rng.uniform(200, 900))
    hiss = band(coloured(rng, len(sound), rng.uniform(-4, 0)), 200, 12_000)
    mixed = unit(dull) + 10 ** rng.uniform(-1, -0.2) * unit(rumble) + 10 ** rng.uniform(-2, -0.8) * unit(hiss)
    return loud(rng, mixed)


def far(rng: np.random.Generator, sound: np.ndarray) -> np.ndarray:
    """As heard from some way off: high notes and sharp edges are lost, and a breeze is nearer."""
    length = round(rng.uniform(0.4, 2.0) * RATE)
    echo = rng.standard_normal(length) * np.exp(-6.9 * np.arange(length) / length)
    size = len(sound) + length - 1
    late = np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(echo, size), size)[: len(sound)]
    both = unit(sound) + rng.uniform(0.3, 1.2) * unit(late)
    dull = band(both, 40, np.exp(rng.uniform(np.log(700), np.log(4000))))
    breeze = coloured(rng, len(sound), rng.uniform(-7, -3)) * np.exp(drift(rng, len(sound), 0.5))
    return loud(rng, unit(dull) + 10 ** rng.uniform(-1.2, -0.3) * unit(breeze))


def bursts(sound: np.ndarray) -> list[np.ndarray]:
    """Cut out what sounds for 0.06 to 0.35 s between quieter parts, with a hundredth of a second on each side."""
    steps = len(sound) // ENVELOPE
    level = np.sqrt((sound[: steps * ENVELOPE].reshape(steps, ENVELOPE) ** 2).mean(1))
    if not steps or not level.max():
        return []
    high = np.flatnonzero(level > LOUD_PART * level.max())
    parts = []
    for run in np.split(high, np.flatnonzero(np.diff(high) > GAP) + 1):
        seconds = (run[-1] - run[0] + 1) * ENVELOPE / RATE
        if SHORTEST_BURST <= seconds <= LONGEST_BURST:
            part = sound[max(0, run[0] - 1) * ENVELOPE : (run[-1] + 2) * ENVELOPE].copy()
            fade = np.minimum(1, (np.arange(len(part)) + 1) / (RATE / 400))
            parts.append(part * fade * fade[::-1])
    return parts


def alone(rng: np.random.Generator, burst: np.ndarray) -> np.ndarray:
    """A burst in up to two seconds of silence, or of faint noise."""
    before, after = (round(seconds * RATE) for seconds in (rng.uniform(0, 0.7), rng.uniform(0.1, 1.3)))
    sound = np.pad(burst * (rng.uniform(0.1, 0.9) / np.abs(burst).max()), (before, after))
    if rng.random() < 0.5:
        sound = sound + 10 ** rng.uniform(-3.5, -2.5) * unit(coloured(rng, len(sound), rng.uniform(-6, 0)))
    return np.clip(sound, -1, 1).astype(np.float32)
