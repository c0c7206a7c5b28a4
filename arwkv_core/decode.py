"""Which decoder reads a file, and which takes over where it stops.

Each format goes first to the library that copes best with damaged and mislabelled files of that format:

- libsndfile: uncompressed formats, at any sample type, and Ogg (the reference decoders of Vorbis and Opus);
- FFmpeg: the rest. Of mp3 and flac, too: libsndfile believes their headers about the length, gives up at
  the first damage, and lets its mp3 decoder print to stderr.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing

from arwkv_core.audio_source import AudioSource
from arwkv_core.decoder import Block, DecodeError, Decoder, NoAudioTrack
from arwkv_core.errors import AudioError
from arwkv_core.sound_chunk import SoundChunk

_SOUNDFILE_FIRST = tuple(b"RIFF RIFX RF64 riff FORM OggS caff .snd dns. NIST Crea".split())
"""First bytes of wav (three kinds), w64, aiff, Ogg, caf, au (two kinds), NIST sphere and voc."""


def open_decoder(source: AudioSource, chunk: SoundChunk | None) -> Decoder:
    """Open a recording with the first decoder that reads it.

    Parameters
    ----------
    source : AudioSource
    chunk : SoundChunk or None
        From `find_sound_chunk`.

    Raises
    ------
    AudioError
        If none does; names the file, the reasons and what may help.
    """
    reasons: list[str] = []
    for opener in _order(source, chunk):
        try:
            return opener()
        except NoAudioTrack as error:
            raise AudioError(f"{source.name}: {error}") from error
        except DecodeError as error:
            reasons.append(str(error))
    raise AudioError(f"{source.name}: can't be read as sound: {_advice(source)} ({'; '.join(reasons)})")


def decode(decoder: Decoder) -> Generator[Block, None, None]:
    """Give all blocks of a recording; if libsndfile stops before its end, FFmpeg goes on from there.

    Warnings of the second decoder are added to those of `decoder`.
    """
    given = 0
    for block in decoder.blocks():
        given += len(block.samples)
        yield block
    if decoder.stopped_early is None:
        return
    rest = 0
    for block in _rest(decoder, given):
        rest += len(block.samples)
        yield block
    if not rest:
        decoder.warnings.append(f"damaged or truncated: {decoder.stopped_early}")


def _rest(decoder: Decoder, skip: int) -> Generator[Block, None, None]:
    """What FFmpeg reads of the same file beyond the first `skip` frames."""
    from arwkv_core.decode_pyav import PyavDecoder

    try:
        second = PyavDecoder(decoder.source)
    except DecodeError:
        return
    with closing(second):
        if (second.sample_rate, second.channels) != (decoder.sample_rate, decoder.channels):
            return  # frames of another rate can't be counted off
        for block in second.blocks():
            fresh = block.samples[skip:]
            skip -= len(block.samples) - len(fresh)
            if len(fresh):
                yield Block(block.sample_rate, fresh)
        decoder.warnings += second.warnings
        decoder.filled_frames += second.filled_frames


def _order(source: AudioSource, chunk: SoundChunk | None) -> list[Callable[[], Decoder]]:
    def soundfile() -> Decoder:
        from arwkv_core.decode_soundfile import SoundfileDecoder

        return SoundfileDecoder(source)

    def pyav(patches: dict[int, bytes] | None = None) -> Decoder:
        from arwkv_core.decode_pyav import PyavDecoder

        return PyavDecoder(source, patches)

    def pyav_to_the_end() -> Decoder:
        # FFmpeg takes a size of 0 for "until the end", but would believe the 64-bit size of RF64.
        assert chunk is not None
        return pyav({0: b"RIFF", chunk.size_field: bytes(4)})

    if chunk is not None and chunk.promised is None and chunk.size_field and source.head[:4] != b"RIFX":
        return [pyav_to_the_end, soundfile]  # libsndfile would stop after 4 GiB, or at once
    if source.head.startswith(_SOUNDFILE_FIRST):
        return [soundfile, pyav]
    return [pyav, soundfile]


def _advice(source: AudioSource) -> str:
    head = source.head
    if head[4:8] == b"ftyp":
        return (
            "its index (the moov atom) is missing or damaged: the recording was never finished, or the "
            "copy is truncated; copy it again, or rebuild the index with a repair tool such as untrunc"
        )
    if not head.strip(b"\0"):
        return "it begins with zeros, as after an interrupted copy; copy it again"
    if all(byte in b"\t\n\r" or 0x20 <= byte < 0x7F for byte in head):
        return "it holds text, not sound; was a web page or a list saved in its place?"
    return "expected a sound or video file; if a player plays it, convert it to WAV or FLAC first"
