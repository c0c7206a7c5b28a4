# mypy: ignore-errors
"""Log-mels of a waveform: windows, Fourier transforms, mel bands and logarithms in one pass over the cache.

As many frames as a vector has lanes are worked on at once, each in its own lane: a frame's numbers do not depend on
which others are computed with it. The transforms are MKL's, reached by their address, or `numba_mel_fourier`'s where
those give the same bits; then the frames are in their lanes before that, otherwise from the power spectrum on.
"""

from numba import njit

from .mel_layout import (
    BANDS,
    BATCH,
    BIN_COUNTS,
    DESCRIPTOR,
    FACTORS,
    FAILURES,
    FFT,
    FIRST_BINS,
    FRAME,
    FRAMES,
    FUNCTION,
    HOP,
    LANE_NUMBERS,
    LANE_PARTS,
    LANE_POWER,
    LANE_SAMPLES,
    LANES,
    MELS,
    NEXT_SCRATCH,
    NEXT_TASK,
    OUT,
    POWER,
    POWER_ROW,
    SAMPLES,
    SCRATCH,
    SCRATCH_FLOATS,
    SPECTRUM,
    SPECTRUM_ROW,
    STEP,
    WEIGHTS,
    WINDOW,
    WINDOW_TABLE,
)
from .numba_mel_fourier import power_spectra
from .numba_mel_frames import emphasise, power, transform
from .numba_mel_lanes import copy_lanes, lanes_to_rows, rows_to_lanes
from .numba_mel_log import band
from .numba_rows import PART
from .numba_words import take, word


@njit(**PART)
def bands(p, scratch):
    """Logarithms of the mel bands of ``LANES`` power spectra, a row a band."""
    weights = word(p, WEIGHTS)
    for b in range(BANDS):
        bins = word(word(p, BIN_COUNTS), b)
        first = word(word(p, FIRST_BINS), b)
        band(scratch + 4 * (LANE_POWER + LANES * first), weights, bins, scratch + 4 * (MELS + LANES * b))
        weights += 4 * bins


@njit(**PART)
def give(mels, frames, out):
    """Rows of bands to rows of frames, of which the first `frames` are wanted."""
    if frames >= LANES:
        for b in range(0, BANDS, LANES):
            lanes_to_rows(mels + 4 * LANES * b, out + 4 * b, 4 * BANDS)
    else:
        for b in range(0, BANDS, LANES):
            lanes_to_rows(mels + 4 * LANES * b, mels + 4 * LANES * b, 4 * LANES)
            for i in range(frames):
                copy_lanes(mels + 4 * LANES * (b + i), out + 4 * (BANDS * i + b))


@njit(**PART)
def transform_lanes(p, scratch, first):
    """Power spectra of ``LANES`` frames, the first of which is that of a number in the batch."""
    frames, samples = scratch + 4 * (FRAME + FFT * first), scratch + 4 * LANE_SAMPLES
    for n in range(0, WINDOW, LANES):  # zeros follow, as in the frames
        rows_to_lanes(frames + 4 * n, 4 * FFT, samples + 4 * LANES * n)
    numbers = scratch + 4 * LANE_NUMBERS
    power_spectra(word(p, FACTORS), samples, scratch + 4 * LANE_PARTS, numbers, scratch + 4 * LANE_POWER)


@njit(**PART)
def gather_lanes(scratch, first, frames):
    """The same of what MKL has transformed."""
    for j in range(first, min(first + LANES, frames)):
        power(scratch + 4 * (SPECTRUM + SPECTRUM_ROW * j), scratch + 4 * (POWER + POWER_ROW * (j - first)))
    for k in range(0, POWER_ROW, LANES):
        source = scratch + 4 * (POWER + k)
        rows_to_lanes(source, 4 * POWER_ROW, scratch + 4 * (LANE_POWER + LANES * k))


@njit(**PART)
def run_batch(p, scratch, start, frames):
    """Log-mels of at most ``BATCH`` frames."""
    samples = word(p, SAMPLES) + 4 * HOP * start
    for i in range(frames):
        emphasise(samples + 4 * HOP * i, word(p, WINDOW_TABLE), scratch + 4 * (FRAME + FFT * i))
    in_lanes = word(p, FACTORS) != 0
    if not in_lanes:
        frame, spectrum = scratch + 4 * FRAME, scratch + 4 * SPECTRUM
        if transform(word(p, FUNCTION), word(p, DESCRIPTOR), frame, spectrum) != 0:
            take(p, FAILURES)
    for i in range(0, frames, LANES):
        if in_lanes:
            transform_lanes(p, scratch, i)
        else:
            gather_lanes(scratch, i, frames)
        bands(p, scratch)
        give(scratch + 4 * MELS, frames - i, word(p, OUT) + 4 * BANDS * (start + i))


def log_mel_tasks(parameters):
    """Take frames until there are none left; as many threads as like may do so at once."""
    frames = word(parameters, FRAMES)
    start = STEP * take(parameters, NEXT_TASK)
    if start >= frames:
        return  # there is scratch memory only for threads that have something to do
    scratch = word(parameters, SCRATCH) + take(parameters, NEXT_SCRATCH) * (4 * SCRATCH_FLOATS)
    while start < frames:
        end = min(start + STEP, frames)
        for first in range(start, end, BATCH):
            run_batch(parameters, scratch, first, min(BATCH, end - first))
        start = STEP * take(parameters, NEXT_TASK)
