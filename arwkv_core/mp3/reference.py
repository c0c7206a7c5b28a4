"""Mp3 frames decoded plainly, in float64, channel by channel: what the compiled decoder is held against.

It knows neither intensity stereo nor damage, and is no faster than the sound.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from arwkv_core.mp3 import bands, filters
from arwkv_core.mp3.codes import LINBITS, code_words
from arwkv_core.mp3.stream_kind import HEADER_BYTES, StreamKind, kind_of

Doubles = NDArray[np.float64]

_LOWER_BITS = (0, 0, 0, 0, 3, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4)
_UPPER_BITS = (0, 1, 2, 3, 0, 1, 2, 3, 1, 2, 3, 1, 2, 3, 2, 3)
_PRETAB = (0,) * 11 + (1, 1, 1, 1, 2, 2, 3, 3, 3, 2, 0)
_LOW_RATE_COUNTS = (  # of scale factors of four lengths: long, short, mixed
    ((6, 5, 5, 5), (9, 9, 9, 9), (6, 9, 9, 9)),
    ((6, 5, 7, 3), (9, 9, 12, 6), (6, 9, 12, 6)),
    ((11, 10, 0, 0), (18, 18, 0, 0), (15, 18, 0, 0)),
)
_LINES = 576


class _Bits:
    """Bits as text, read from the front."""

    def __init__(self, data: bytes) -> None:
        self.text = "".join(f"{byte:08b}" for byte in data)
        self.at = 0

    def number(self, bits: int) -> int:
        self.at += bits
        return int(self.text[self.at - bits : self.at] or "0", 2)

    def word(self, words: dict[str, tuple[int, ...]]) -> tuple[int, ...]:
        end = self.at + 1
        while (values := words.get(self.text[self.at : end])) is None:
            end += 1
        self.at = end
        return values


class _Granule:
    """Side information of a granule and channel, then its lines and samples."""

    def __init__(self, side: _Bits, kind: StreamKind) -> None:
        self.bits, self.pairs, self.gain = side.number(12), side.number(9), side.number(8)
        self.code = side.number(9 if kind.version else 4)
        self.block_type = self.mixed = 0
        self.subblock_gain = [0, 0, 0]
        starts = np.cumsum([0, *bands.long_bands(kind.sample_rate)])
        if side.number(1):
            self.block_type, self.mixed = side.number(2), side.number(1)
            self.tables = [side.number(5), side.number(5), 0]
            self.subblock_gain = [side.number(3) for _ in range(3)]
            first = 36 if self.block_type == filters.SHORT or not kind.version else 54
            if kind.sample_rate == 8_000:
                first *= 2
            ends = [first, _LINES]
        else:
            self.tables = [side.number(5) for _ in range(3)]
            first = side.number(4) + 1
            ends = [int(starts[first]), int(starts[min(first + side.number(3) + 1, 22)])]
        self.ends = [min(end, 2 * self.pairs) for end in (*ends, _LINES)]
        self.pretab = 0 if kind.version else side.number(1)
        self.shift, self.count_table = 1 + side.number(1), "AB"[side.number(1)]
        self.factors: list[int] = []

    @property
    def short(self) -> bool:
        return self.block_type == filters.SHORT

    def read(self, main: _Bits, kind: StreamKind, shared: int, before: _Granule | None) -> Doubles:
        """Dequantised lines, those of short windows in the order of frequency."""
        end = main.at + self.bits
        self._read_factors(main, kind, shared, before)
        lines = np.zeros(_LINES)
        line = 0
        for table, until in zip(self.tables, self.ends, strict=True):
            linbits = LINBITS[table - 16] if table >= 16 else 0
            words = dict(code_words().get(str(table if table < 16 else 16 if table < 24 else 24), []))
            while line < until:
                for value in main.word(words) if words else (0, 0):
                    whole = value + (main.number(linbits) if linbits and value == 15 else 0)
                    lines[line] = -whole if whole and main.number(1) else whole
                    line += 1
        words = dict(code_words()[self.count_table])
        while main.at < end and line <= _LINES - 4:
            for i, value in enumerate(main.word(words)):
                lines[line + i] = -value if value and main.number(1) else value
            if main.at > end:
                lines[line : line + 4] = 0
            line += 4
        main.at = end
        lines = np.sign(lines) * np.abs(lines) ** (4 / 3) * 2.0 ** (self._exponents(kind) / 4)
        ordered = lines.copy()
        if self.short:
            start = bands.LONG_LINES_OF_MIXED if self.mixed else 0
            ordered[bands.short_order(kind.sample_rate, start)] = lines[start:]
        return ordered

    def _read_factors(self, main: _Bits, kind: StreamKind, shared: int, before: _Granule | None) -> None:
        layout = (2 if self.mixed else 1) if self.short else 0
        if kind.version:
            code = self.code
            if code < 400:
                group, widths = 0, (code // 80, code // 16 % 5, code // 4 % 4, code % 4)
            elif code < 500:
                group, widths = 1, ((code - 400) // 20, (code - 400) // 4 % 5, code % 4, 0)
            else:
                group, widths = 2, ((code - 500) // 3, (code - 500) % 3, 0, 0)
                self.pretab = 1
            counts = _LOW_RATE_COUNTS[group][layout]
        else:
            lower, upper = _LOWER_BITS[self.code], _UPPER_BITS[self.code]
            widths = (lower, lower, upper, upper)
            counts = ((6, 5, 5, 5), (9, 9, 9, 9), (8, 9, 9, 9))[layout]
        for part, (count, width) in enumerate(zip(counts, widths, strict=True)):
            if shared >> 3 - part & 1 and not self.short and before is not None:
                self.factors += before.factors[len(self.factors) :][:count]
            else:
                self.factors += [main.number(width) for _ in range(count)]
        self.factors += [0] * (40 - len(self.factors))

    def _exponents(self, kind: StreamKind) -> Doubles:
        rate = kind.sample_rate
        if not self.short:
            sizes, long = bands.long_bands(rate), 22
        elif self.mixed:
            sizes, long = bands.mixed_bands(rate), 6 if kind.version else 8
        else:
            sizes, long = bands.short_bands(rate), 0
        exponents: list[int] = []
        for band, (size, factor) in enumerate(zip(sizes, self.factors, strict=False)):
            pretab = _PRETAB[band] if band < long and self.pretab else 0
            window_gain = 0 if band < long else 8 * self.subblock_gain[(band - long) % 3]
            exponents += [self.gain - 210 - (factor + pretab << self.shift) - window_gain] * size
        return np.array(exponents, np.float64)

    def subbands(self, lines: Doubles, overlap: Doubles) -> tuple[Doubles, Doubles]:
        """Samples of the subbands (18, 32) of lines, and what overlaps with the next granule's."""
        spectrum = lines.reshape(filters.SUBBANDS, filters.SLOTS).copy()
        keep, cross = filters.alias_factors()
        for boundary in range(1, 32 if not self.short else (2 if self.mixed else 1)):
            low, high = spectrum[boundary - 1, ::-1][:8].copy(), spectrum[boundary, :8].copy()
            spectrum[boundary - 1, ::-1][:8] = low * keep - high * cross
            spectrum[boundary, :8] = high * keep + low * cross
        types = [0 if self.mixed and band < 2 else self.block_type for band in range(filters.SUBBANDS)]
        samples = np.stack(
            [filters.block_matrix(kind) @ row for kind, row in zip(types, spectrum, strict=True)], 1
        )
        samples[1::2, 1::2] *= -1
        return samples[:18] + overlap, samples[18:]


def decode(data: bytes) -> Doubles:
    """Samples of whole frames that follow each other: (n, channels), full scale at ±1.

    Raises
    ------
    ValueError
        If there is anything that it does not know.
    """
    kind = kind_of(data[:HEADER_BYTES])
    if kind is None:
        raise ValueError("expected a frame of MPEG audio's layer III, found something else")
    overlaps = np.zeros((kind.channels, 18, 32))
    slots: list[list[Doubles]] = [[] for _ in range(kind.channels)]
    main = b""
    at = 0
    while at < len(data):
        head = data[at : at + HEADER_BYTES]
        size = kind.frame_bytes(head)
        if size is None or at + size > len(data) or (head[3] >> 6 == 1 and head[3] >> 4 & 1):
            raise ValueError(
                f"byte {at}: expected a whole frame without intensity stereo, found something else"
            )
        body = at + HEADER_BYTES + (0 if head[1] & 1 else 2)
        side_bytes = (
            (32 if kind.channels == 2 else 17) if not kind.version else (17 if kind.channels == 2 else 9)
        )
        side = _Bits(data[body : body + side_bytes])
        start = len(main) - side.number(8 if kind.version else 9)
        if start < 0:
            raise ValueError(f"byte {at}: expected a frame that needs no earlier ones, found one that does")
        main += data[body + side_bytes : at + size]
        bits = _Bits(main[start:] + bytes(8))
        side.number(kind.channels if kind.version else (3 if kind.channels == 2 else 5))
        shared = [0 if kind.version else side.number(4) for _ in range(kind.channels)]
        before: list[_Granule | None] = [None] * kind.channels
        granules = [
            [_Granule(side, kind) for _ in range(kind.channels)] for _ in range(1 if kind.version else 2)
        ]
        for number, granule in enumerate(granules):
            lines = [
                g.read(bits, kind, shared[channel] if number else 0, before[channel])
                for channel, g in enumerate(granule)
            ]
            before = list(granule)
            if head[3] >> 6 == 1 and head[3] >> 5 & 1:
                lines = [(lines[0] + lines[1]) / np.sqrt(2), (lines[0] - lines[1]) / np.sqrt(2)]
            for channel, g in enumerate(granule):
                samples, overlaps[channel] = g.subbands(lines[channel], overlaps[channel])
                slots[channel] += list(samples)
        main = main[-511:]
        at += size
    return np.stack([_synthesised(np.array(rows)) for rows in slots], 1)


def _synthesised(slots: Doubles) -> Doubles:
    """Sound (32 n,) of samples of the subbands (n, 32)."""
    sound = np.zeros(filters.SUBBANDS * len(slots) + 512)
    shapes = filters.subband_filters()
    for slot, samples in enumerate(slots):
        sound[filters.SUBBANDS * slot :][:512] += samples @ shapes
    return sound[: filters.SUBBANDS * len(slots)]
