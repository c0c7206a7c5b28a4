"""Decoding with FFmpeg's libraries through PyAV: mp3, flac, m4a, aac, webm, wma ... and the sound of videos.

FFmpeg goes on where a file is damaged, and reads to the end of the file whatever its header says.
"""

from __future__ import annotations

from collections.abc import Generator
from io import SEEK_SET
from typing import Any, BinaryIO

import av
import numpy as np
from av.codec.context import Flags2

from arwkv_core.audio_source import AudioSource
from arwkv_core.decoder import (
    MOST_BLOCK_FRAMES,
    MOST_BLOCK_VALUES,
    Block,
    DecodeError,
    Decoder,
    NoAudioTrack,
    Resolution,
)
from arwkv_core.frame_queue import FrameQueue, floats_of
from arwkv_core.mp3.mono_blocks import mono_blocks
from arwkv_core.mp3_header import stated_frame_count

SMALLEST_GAP_SECONDS = 0.05
"""Timestamps may wander by this much (webm rounds to 1 ms, wma to more); a larger jump is lost sound."""
LARGEST_GAP_SECONDS = 3600.0
"""Where no header tells the duration, a larger jump is a broken clock: recordings joined as they were."""

_MOST_MP3_PADDING = 4095  # samples: the field has 12 bits
_ESTIMATED_DURATION = {"aac", "ac3", "amr", "dts", "eac3", "loas", "mp3", "mpeg", "mpegts"}
_MOST_PLANES = (
    7  # PyAV looks for more planes until it finds a null pointer, which beyond 7 is no longer there
)
_BITS = {"u8": 8, "s16": 16, "s32": 24, "s64": 24}  # the blocks' float32 hold no more


class PyavDecoder(Decoder):
    """A file that FFmpeg reads.

    The first frame is decoded at once: only it tells the true rate and channels (AAC's extensions double
    the rate that the header states), and a file without one isn't sound.

    Parameters
    ----------
    source : AudioSource
    patches : dict of int to bytes, optional
        Bytes to be read instead of the file's own, by offset: mends a header that FFmpeg would believe.
    start : int
        Offset of the byte at which the file is taken to begin.
    """

    def __init__(
        self, source: AudioSource, patches: dict[int, bytes] | None = None, *, start: int = 0
    ) -> None:
        super().__init__(source)
        source.file.seek(start)
        self._bytes = _ReadOnly(source.file, patches or {}, start)
        try:
            # A playlist must not make FFmpeg open other files or addresses: no protocol is allowed.
            self._container = av.open(
                self._bytes,
                mode="r",
                metadata_errors="replace",
                options={"protocol_whitelist": "none"},
            )
        except (av.FFmpegError, ValueError, OSError) as error:
            raise DecodeError(_reason(error)) from error
        self._packer: tuple[object, av.AudioResampler] | None = None
        self._first_packet: int | None = None  # offset, where it is known
        self._damaged_packets = 0
        self._first_damage = 0.0
        self._broken_clock = False
        self._emitted = 0.0  # seconds
        try:
            self._open_stream()
        except BaseException:
            self.close()
            raise

    def _open_stream(self) -> None:
        tracks = self._container.streams.audio
        if not tracks:
            kinds = ", ".join(sorted({stream.type for stream in self._container.streams})) or "nothing"
            name = self._container.format.name
            raise NoAudioTrack(f"has no audio track: expected sound, found {kinds} ({name})")
        self._stream = tracks[0]
        if len(tracks) > 1:
            self.warnings.append(f"has {len(tracks)} audio tracks; only the first is heard")
        self._gapless = self._container.format.name == "mp3" and bool(self._stream.start_time)
        if self._gapless:  # FFmpeg would cut the encoder's padding where a wrong header says that the end is
            self._stream.codec_context.flags2 |= Flags2.skip_manual
        self._frames = self._decode()
        self._first = next(self._frames, None)
        if self._first is None:
            damage = f"{self._damaged_packets} damaged" if self._damaged_packets else "none"
            raise DecodeError(f"FFmpeg: no sound in it could be decoded; packets of it: {damage}")
        self.sample_rate = self._first.sample_rate
        self.channels = len(self._first.layout.channels)
        kind = self._first.format.name.rstrip("p")
        self.resolution = Resolution(_BITS.get(kind, 32), floating=kind not in _BITS)
        self._read_header()

    def _read_header(self) -> None:
        """Fill `header_seconds`; packets may hold more or less."""
        stream, container, name = self._stream, self._container, self._container.format.name
        of_track = None if stream.duration is None else float(stream.duration * (stream.time_base or 0))
        of_file = None if container.duration is None else container.duration / av.time_base
        # An edit list shortens either of them.
        self.header_seconds = min((seconds for seconds in (of_track, of_file) if seconds), default=None)
        self.header_is_exact = name == "flac"
        only_sound = all(other.type == "audio" for other in container.streams)
        self.header_is_estimate = name in _ESTIMATED_DURATION or (of_track is None and not only_sound)
        frames = stated_frame_count(self.source.file) if name == "mp3" else None
        if frames and self._first is not None:
            stated = frames * self._first.samples / self.sample_rate
            if abs(stated - (self.header_seconds or 0)) > 2 * _MOST_MP3_PADDING / self.sample_rate:
                self.header_seconds = stated  # FFmpeg took its own estimate for likelier
            self.header_is_estimate = False

    def _decode(self) -> Generator[Any, None, None]:
        """Give the decoded frames; a damaged packet is counted and passed over."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except (
                av.FFmpegError,
                OSError,
                IndexError,
            ) as error:  # IndexError: damage hides a track from PyAV
                self._note_damage()
                self.warnings.append(f"can't be read after {self._emitted:.2f} s: {_reason(error)}")
                return
            if packet is None:
                break
            if self._first_packet is None and packet.pos is not None:
                self._first_packet = packet.pos
            try:
                yield from packet.decode()
            except (av.FFmpegError, ValueError):
                if packet.size:  # the last, empty packet only flushes the decoder
                    self._note_damage()
        if self._bytes.error is not None:
            self.warnings.append(f"can't be read after {self._emitted:.2f} s: {self._bytes.error}")

    def is_undamaged(self) -> bool:
        """Whether nothing was found wrong so far, so that as many frames are behind it as it gave."""
        return not self._damaged_packets and not self.filled_frames and not self._broken_clock

    def blocks_from(self, offset: int, seconds: float) -> Generator[Block, None, None]:
        """Blocks of an mp3's frames from an offset (bytes) to its end, before which there are so many seconds.

        What is wrong with them is noted here.

        Raises
        ------
        DecodeError
            If FFmpeg doesn't begin with the frame at the offset.
        """
        part = PyavDecoder(self.source, start=offset)
        try:
            if part._container.format.name != "mp3" or part._first_packet != 0:
                raise DecodeError("FFmpeg: finds another beginning")
            part.header_seconds = self.header_seconds
            part._emitted = seconds
            yield from part._pieces()
        finally:
            part.close()
        self.warnings += part.warnings
        self.filled_frames += part.filled_frames
        self._damaged_packets += part._damaged_packets
        self._first_damage = part._first_damage

    def _note_damage(self) -> None:
        if not self._damaged_packets:
            self._first_damage = self._emitted
        self._damaged_packets += 1

    def _pieces(self) -> Generator[Block, None, None]:
        """Frames, many in a block, with silence where timestamps say that sound was lost.

        An hour of mp3 has 138,000 frames: what is done for each of them alone is what decoding costs beside FFmpeg.
        """
        rate = channels = most = 0
        form = ""
        unreadable = False
        tick = 0.0  # of the timestamps' clock (s)
        end = None  # where the previous frame ended, by timestamps (s)
        gathered = FrameQueue()
        frame = self._first
        while frame is not None:
            samples, pts = frame.samples, frame.pts
            if (
                frame.sample_rate != rate
                or frame.layout.nb_channels != channels
                or frame.format.name != form
                or gathered.frames >= most
            ):
                yield from self._blocks_of(gathered)
                rate, channels, form = frame.sample_rate, frame.layout.nb_channels, frame.format.name
                most = max(1, min(MOST_BLOCK_FRAMES, MOST_BLOCK_VALUES // channels))
                unreadable = frame.format.is_planar and channels > _MOST_PLANES
                tick = float(frame.time_base or 0)
            start = None if pts is None or not tick else pts * tick
            if start is not None and end is not None and start - end > SMALLEST_GAP_SECONDS:
                tick = float(frame.time_base or 0)  # before it is believed: streams can be joined in one file
                start = pts * tick
                if start - end > SMALLEST_GAP_SECONDS:
                    yield from self._blocks_of(gathered)
                    yield from self._silence(start - end, rate, channels)
            end = None if start is None else start + samples / rate
            if samples:
                self._emitted += samples / rate
                gathered.add(self._packed(frame) if unreadable else frame)
            frame = next(self._frames, None)
        yield from self._blocks_of(gathered)

    def _blocks_of(self, gathered: FrameQueue) -> Generator[Block, None, None]:
        """What was gathered, as a block or none."""
        for frame in gathered.take():
            yield Block(frame.sample_rate, floats_of(frame))

    def _packed(self, frame: Any) -> Any:
        """The frame with its channels interleaved in one plane, by FFmpeg."""
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._packer is None or self._packer[0] != kind:
            self._packer = (kind, av.AudioResampler("flt", frame.layout, frame.sample_rate))
        return self._packer[1].resample(frame)[0]

    def _silence(self, seconds: float, rate: int, channels: int) -> Generator[Block, None, None]:
        at = f"at {self._emitted:.2f} s"
        room = LARGEST_GAP_SECONDS
        if self.header_seconds is not None:
            room = self.header_seconds - self._emitted + SMALLEST_GAP_SECONDS
        if seconds > room:
            if not self._broken_clock:
                self.warnings.append(f"timestamps jump by {seconds:.2f} s {at}; taken as continuous")
            self._broken_clock = True
        if self._broken_clock:
            return
        if not self.filled_frames:
            self.warnings.append(f"sound is lost {at} ({seconds:.2f} s), perhaps later too; heard as silence")
        frames = round(seconds * rate)
        self.filled_frames += frames
        self._emitted += seconds
        for first in range(0, frames, MOST_BLOCK_FRAMES):
            yield Block(rate, np.zeros((min(MOST_BLOCK_FRAMES, frames - first), channels), dtype=np.float32))

    def _trimmed(self) -> Generator[Block, None, None]:
        """Pieces without what an mp3 encoder put around the sound (at its end: if the header is true)."""
        pieces = self._pieces()
        if self.mono_will_do and self._container.format.name == "mp3" and self._first_packet is not None:
            pieces = mono_blocks(pieces, self.source.file, self._first_packet, self)
        if not self._gapless:
            yield from pieces
            return
        stream = self._stream
        ticks = (stream.time_base or 0) * self.sample_rate  # samples in a tick of the stream's clock
        delay = round((stream.start_time or 0) * ticks)
        stated = round((stream.duration or 0) * ticks)
        taken = -delay
        held: list[Block] = []  # beyond the stated end: padding if no more than a little comes, else sound
        for block in pieces:
            count = len(block.samples)
            start = min(count, max(0, -taken))
            taken += count
            end = max(start, count - max(0, taken - stated)) if stated else count
            if end > start:
                yield block.cut(start, end)
            if end < count:
                held.append(block.cut(end, count))
            if taken - stated > _MOST_MP3_PADDING:
                yield from held
                held.clear()

    def blocks(self) -> Generator[Block, None, None]:
        """Give the samples, in blocks of at least one frame."""
        yield from self._trimmed()
        if self._damaged_packets:
            many = self._damaged_packets > 1
            packets = f"{self._damaged_packets} damaged packets were" if many else "1 damaged packet was"
            first = ", the first" if many else ""
            self.warnings.append(f"{packets} passed over{first} at {self._first_damage:.2f} s")

    def close(self) -> None:
        """Let go of the decoder, not of its source."""
        self._container.close()


class _ReadOnly:
    """What PyAV may see of a file: it would close what isn't its own, and must be shown a mended header.

    An error looks to FFmpeg like the end of the file, and is kept here: PyAV prints the second and later ones.
    """

    def __init__(self, file: BinaryIO, patches: dict[int, bytes], start: int) -> None:
        self._file, self._start = file, start
        self.error: Exception | None = None
        self._patches = patches
        self._patched_until = max((offset + len(new) for offset, new in patches.items()), default=0)

    def read(self, size: int) -> bytes:
        try:
            offset = self.tell() if self._patched_until else 0
            data = self._file.read(size)
        except Exception as error:
            self.error = error
            return b""
        if offset < self._patched_until:
            mended = bytearray(data)
            for at, new in self._patches.items():
                for place, byte in enumerate(new, at - offset):
                    if 0 <= place < len(mended):
                        mended[place] = byte
            data = bytes(mended)
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        try:
            if whence == SEEK_SET:
                offset += self._start
            return self._file.seek(offset, whence) - self._start
        except (OSError, ValueError):  # a damaged file can point beyond all offsets
            return -1

    def tell(self) -> int:
        return self._file.tell() - self._start


def _reason(error: Exception) -> str:
    if isinstance(error, av.InvalidDataError):
        return "FFmpeg: invalid data"
    return "FFmpeg: " + (getattr(error, "strerror", None) or str(error))
