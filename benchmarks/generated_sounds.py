"""Helicopters and rain made by arithmetic: more of two sounds of which the corpus holds few recordings.

What is heard of a helicopter is its rotor: noise and thumps that swell at the rate at which blades pass, 9 to 28 times
a second, a turbine's whine, and the air between. Rain is drops, some tens to thousands a second, over the hiss of all
those farther away; what they fall on gives their colour. Numbers are drawn from ranges that are meant to hold the real
ones, not measured. Another function changes the speed of a recording, and so its pitch and the rate of its blades.
"""

import numpy as np
import soxr

RATE = 32_000
"""Of all that is made here, in Hz."""


def helicopter(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """A helicopter that hovers or passes, near or far: ``(samples,)``, float32, at most 0.9 loud."""
    samples = round(seconds * RATE)
    blade_rate = np.exp(rng.uniform(np.log(9), np.log(28))) * (1 + drift(rng, samples, 0.03))
    phase = np.cumsum(blade_rate) / RATE + rng.random()  # in blades
    blades = int(rng.integers(2, 6))
    uneven = 1 + rng.uniform(0, 0.4) * rng.standard_normal(blades)
    strength = uneven[phase.astype(int) % blades]
    place = phase % 1
    swell = (0.5 + 0.5 * np.cos(2 * np.pi * place)) ** rng.uniform(1, 6) * strength
    depth = rng.uniform(0.4, 0.95)
    wash = coloured(rng, samples, rng.uniform(-6, -1.5)) * (1 - depth + depth * swell)
    # a thump at each blade: a few waves of 30 to 150 Hz that die out within the blade's time
    thump = np.sin(2 * np.pi * place * rng.uniform(2, 6)) * np.exp(-place * rng.uniform(3, 9)) * strength
    sound = unit(wash) + rng.uniform(0.2, 1.5) * unit(thump)
    if rng.random() < 0.6:
        whine = np.zeros(samples)
        pitch = rng.uniform(500, 3500) * (1 + drift(rng, samples, 0.01))
        for partial in range(1, 4):
            whine += np.sin(2 * np.pi * np.cumsum(partial * pitch) / RATE) / partial**2
        sound += rng.uniform(0.02, 0.25) * unit(whine)
    sound = band(sound, rng.uniform(20, 80), np.exp(rng.uniform(np.log(700), np.log(15_000))))
    air = coloured(rng, samples, rng.uniform(-6, 0))
    sound = unit(sound) * np.exp(drift(rng, samples, 0.7)) + 10 ** rng.uniform(-2, -0.5) * unit(air)
    return loud(rng, sound)


def helicopter_aboard(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """A helicopter heard from inside, or its turbine from beside it: ``(samples,)``, float32, at most 0.9 loud.

    Inside, what is loud is the rumble that swells a little with each blade, the beat itself and its low harmonics,
    and the gears; from beside it, the turbine's whine and its roar.
    """
    samples = round(seconds * RATE)
    blade_rate = np.exp(rng.uniform(np.log(9), np.log(26))) * (1 + drift(rng, samples, 0.01))
    phase = 2 * np.pi * (np.cumsum(blade_rate) / RATE + rng.random())
    swell = 1 + rng.uniform(0.1, 0.7) * np.cos(phase) + rng.uniform(0, 0.3) * np.cos(2 * phase + 1)
    rumble = coloured(rng, samples, rng.uniform(-9, -3)) * swell
    beat = np.zeros(samples)
    for harmonic in range(1, int(rng.integers(4, 14))):
        wave = np.cos(harmonic * phase + rng.uniform(0, 6.3))
        beat += wave * rng.uniform(0.2, 1) * harmonic ** rng.uniform(-1, 0)
    gears = np.zeros(samples)
    for _ in range(int(rng.integers(2, 7))):
        pitch = np.exp(rng.uniform(np.log(250), np.log(4500))) * (1 + drift(rng, samples, 0.003))
        tone = np.sin(2 * np.pi * np.cumsum(pitch) / RATE) * (1 + rng.uniform(0, 0.5) * np.cos(phase))
        gears += tone * rng.uniform(0.1, 1)
    roar = band(coloured(rng, samples, rng.uniform(-3, 0)), rng.uniform(300, 1500), 12_000)
    roar *= 0.6 + 0.4 * swell
    inside = rng.random() < 0.7
    parts = (0.3, 0.12, 0.05) if inside else (0.15, 0.5, 0.6)  # beat, gears and roar against the rumble
    sound = unit(rumble)
    for part, size in zip((beat, gears, roar), parts, strict=True):
        sound += size * 10 ** rng.uniform(-0.5, 0.5) * unit(part)
    lowest, highest = (600, 5000) if inside else (4000, 15_000)
    edge = np.exp(rng.uniform(np.log(lowest), np.log(highest)))
    return loud(rng, band(sound, rng.uniform(10, 40), edge))


def rain(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """A drizzle to a downpour, on leaves, stone, tin or water: ``(samples,)``, float32, at most 0.9 loud."""
    samples = round(seconds * RATE)
    drops = np.zeros(samples)
    count = round(np.exp(rng.uniform(np.log(60), np.log(3000))) * seconds)
    colour, spread = np.exp(rng.uniform(np.log(1200), np.log(7000))), rng.uniform(0.2, 0.7)
    ringing = rng.random() < 0.4  # on tin, or the bubbles of drops in water
    length = round(0.025 * RATE)
    time = np.arange(length) / RATE
    kinds = []
    for _ in range(48):
        pitch = min(14_000, colour * np.exp(spread * rng.standard_normal()))
        decay = np.exp(-time / rng.uniform(0.0008, 0.006))
        noise = band(rng.standard_normal(length), pitch / 2, min(15_500, 2 * pitch))
        tone = np.sin(2 * np.pi * pitch * time)
        kinds.append(unit(tone + 0.3 * unit(noise) if ringing else noise) * decay)
    starts = rng.integers(0, max(1, samples - length), count)
    levels = np.exp(rng.normal(0, rng.uniform(0.5, 1.1), count))
    for start, level, kind in zip(starts, levels, rng.integers(0, len(kinds), count), strict=True):
        drops[start : start + length] += level * kinds[kind]
    hiss = band(coloured(rng, samples, rng.uniform(-4, 0)), rng.uniform(150, 800), rng.uniform(6000, 15_500))
    share = 10 ** rng.uniform(-0.6, 0.5)
    sound = unit(drops) + share * unit(hiss) * np.exp(drift(rng, samples, 0.15))
    return loud(rng, band(sound, 60, np.exp(rng.uniform(np.log(5000), np.log(15_800)))))


def other_speed(waveform: np.ndarray, factor: float) -> np.ndarray:
    """Play a recording faster (over 1) or slower: ``(samples / factor,)``."""
    changed: np.ndarray = soxr.resample(waveform.astype(np.float32), RATE * factor, RATE)
    return changed


def drift(rng: np.random.Generator, samples: int, size: float) -> np.ndarray:
    """A slow wander around 0 of standard deviation ``size``, a new direction about every 1.5 s."""
    knots = rng.standard_normal(max(3, round(samples / RATE / 1.5) + 2)) * size
    return np.interp(np.linspace(0, len(knots) - 1, samples), np.arange(len(knots)), knots)


def coloured(rng: np.random.Generator, samples: int, slope: float) -> np.ndarray:
    """Noise whose spectrum falls by ``-slope`` decibels an octave above 50 Hz."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    hertz = np.maximum(np.fft.rfftfreq(samples, 1 / RATE), 50)
    return np.fft.irfft(spectrum * (hertz / 50) ** (slope / 6.02), samples)


def band(sound: np.ndarray, low: float, high: float) -> np.ndarray:
    """Weaken what lies below ``low`` and above ``high``, by 12 decibels an octave."""
    hertz = np.fft.rfftfreq(len(sound), 1 / RATE)
    gain = 1 / (1 + (low / np.maximum(hertz, 1)) ** 4) ** 0.5 / (1 + (hertz / high) ** 4) ** 0.5
    return np.fft.irfft(np.fft.rfft(sound) * gain, len(sound))


def unit(sound: np.ndarray) -> np.ndarray:
    """Scale to a mean power of 1; silence stays."""
    return sound / max(float(np.sqrt(np.mean(sound**2))), 1e-9)


def loud(rng: np.random.Generator, sound: np.ndarray) -> np.ndarray:
    """Scale so that the loudest sample is 0.05 to 0.9."""
    peak = 10 ** rng.uniform(np.log10(0.05), np.log10(0.9))
    return (sound * (peak / max(float(np.abs(sound).max()), 1e-9))).astype(np.float32)
