"""Scale factor bands of MPEG audio's layer III: how many lines each has."""

from __future__ import annotations

LONG_BANDS = {
    44_100: (4, 4, 4, 4, 4, 4, 6, 6, 8, 8, 10, 12, 16, 20, 24, 28, 34, 42, 50, 54, 76, 158),
    48_000: (4, 4, 4, 4, 4, 4, 6, 6, 6, 8, 10, 12, 16, 18, 22, 28, 34, 40, 46, 54, 54, 192),
    32_000: (4, 4, 4, 4, 4, 4, 6, 6, 8, 10, 12, 16, 20, 24, 30, 38, 46, 56, 68, 84, 102, 26),
    22_050: (6, 6, 6, 6, 6, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32, 38, 46, 52, 60, 68, 58, 54),
    24_000: (6, 6, 6, 6, 6, 6, 8, 10, 12, 14, 16, 18, 22, 26, 32, 38, 46, 54, 62, 70, 76, 36),
    16_000: (6, 6, 6, 6, 6, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32, 38, 46, 52, 60, 68, 58, 54),
    11_025: (6, 6, 6, 6, 6, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32, 38, 46, 52, 60, 68, 58, 54),
    12_000: (6, 6, 6, 6, 6, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32, 38, 46, 52, 60, 68, 58, 54),
    8_000: (12, 12, 12, 12, 12, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 76, 90, 2, 2, 2, 2, 2),
}
"""By the sampling rate (Hz)."""

SHORT_BANDS = {
    44_100: (4, 4, 4, 4, 6, 8, 10, 12, 14, 18, 22, 30, 56),
    48_000: (4, 4, 4, 4, 6, 6, 10, 12, 14, 16, 20, 26, 66),
    32_000: (4, 4, 4, 4, 6, 8, 12, 16, 20, 26, 34, 42, 12),
    22_050: (4, 4, 4, 6, 6, 8, 10, 14, 18, 26, 32, 42, 18),
    24_000: (4, 4, 4, 6, 8, 10, 12, 14, 18, 24, 32, 44, 12),
    16_000: (4, 4, 4, 6, 8, 10, 12, 14, 18, 24, 30, 40, 18),
    11_025: (4, 4, 4, 6, 8, 10, 12, 14, 18, 24, 30, 40, 18),
    12_000: (4, 4, 4, 6, 8, 10, 12, 14, 18, 24, 30, 40, 18),
    8_000: (8, 8, 8, 12, 16, 20, 24, 28, 36, 2, 2, 2, 26),
}
"""Of each of the three windows of short blocks."""

LINES = 576
LONG_LINES_OF_MIXED = 36
FIRST_SHORT_BAND_OF_MIXED = 3


def long_bands(rate: int) -> list[int]:
    """Lines of each scale factor band of long blocks."""
    return list(LONG_BANDS[rate])


def short_bands(rate: int) -> list[int]:
    """Lines of each band of short blocks, in the order of the bit stream: band by band, three windows in each."""
    return [lines for lines in SHORT_BANDS[rate] for _ in range(3)]


def mixed_bands(rate: int) -> list[int]:
    """Lines of each band of mixed blocks: long bands first."""
    bands: list[int] = []
    for lines in LONG_BANDS[rate]:
        if sum(bands) < LONG_LINES_OF_MIXED:
            bands.append(lines)
    return bands + [lines for lines in SHORT_BANDS[rate][FIRST_SHORT_BAND_OF_MIXED:] for _ in range(3)]


def short_order(rate: int, start: int) -> list[int]:
    """Where lines of short blocks go, so that the three windows' lines of one frequency stand side by side.

    Parameters
    ----------
    rate : int
        Sampling rate (Hz).
    start : int
        The first line of short blocks: 0, or 36 in mixed blocks.

    Returns
    -------
    list of int
        For each line from `start` on its place among all 576.
    """
    places: list[int] = []
    base = start
    for lines in SHORT_BANDS[rate][FIRST_SHORT_BAND_OF_MIXED if start else 0 :]:
        places += [base + 3 * line + window for window in range(3) for line in range(lines)]
        base += 3 * lines
    return places
