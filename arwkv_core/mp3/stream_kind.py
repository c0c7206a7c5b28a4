"""What all frames of an mp3 have in common, by the header of one of them."""

from __future__ import annotations

from typing import BinaryIO, NamedTuple

HEADER_BYTES = 4

_MPEG_1, _MPEG_2, _MPEG_25 = 3, 2, 0  # of the header's field
_SAMPLE_RATES = {
    _MPEG_1: (44_100, 48_000, 32_000),
    _MPEG_2: (22_050, 24_000, 16_000),
    _MPEG_25: (11_025, 12_000, 8_000),
}
_BIT_RATES_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0)
_BIT_RATES_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0)
_LAYER_3 = 1
_MONO = 3


class StreamKind(NamedTuple):
    """Version, sampling rate and channels."""

    version: int
    """0 for MPEG-1, 1 for MPEG-2, 2 for MPEG-2.5."""
    rate_index: int
    """Of the sampling rate, in the header."""
    sample_rate: int
    """Hz."""
    channels: int
    """1 or 2."""

    @property
    def bit_rates(self) -> tuple[int, ...]:
        """Bit rates (kbit/s) by the header's index; 0 where there is none, or it isn't told."""
        return _BIT_RATES_2 if self.version else _BIT_RATES_1

    @property
    def frame_samples(self) -> int:
        """Samples of a channel in a frame."""
        return 576 if self.version else 1152

    def frame_bytes(self, head: bytes) -> int | None:
        """Length of the frame with this header, or None if it isn't one of this kind."""
        if kind_of(head) != self:
            return None
        rate = self.bit_rates[head[2] >> 4]
        unpadded = (72_000 if self.version else 144_000) * rate // self.sample_rate
        return unpadded + (head[2] >> 1 & 1) if rate else None


def kind_of(head: bytes) -> StreamKind | None:
    """The kind that a frame's header tells, or None where it isn't one of layer III."""
    if len(head) < HEADER_BYTES or head[0] != 0xFF or head[1] >> 5 != 7:
        return None
    version, layer, rate = head[1] >> 3 & 3, head[1] >> 1 & 3, head[2] >> 2 & 3
    if version not in _SAMPLE_RATES or layer != _LAYER_3 or rate == 3:
        return None
    channels = 1 if head[3] >> 6 == _MONO else 2
    order = (_MPEG_1, _MPEG_2, _MPEG_25).index(version)
    return StreamKind(order, rate, _SAMPLE_RATES[version][rate], channels)


def kind_at(file: BinaryIO, offset: int) -> StreamKind | None:
    """The kind of the frame at an offset of a file, whose own offset is left as it was."""
    before = file.tell()
    try:
        file.seek(offset)
        return kind_of(file.read(HEADER_BYTES))
    except (OSError, ValueError):
        return None
    finally:
        file.seek(before)
