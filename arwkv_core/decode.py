"""Which decoder reads a file.

Each format goes first to the library that copes best with damaged and mislabelled files of that format:

- libsndfile: uncompressed formats, at any sample type, and whole Ogg files (the reference decoders of Vorbis
  and Opus);
- FFmpeg: the rest. Of Ogg files the damaged and the joined ones, through which libsndfile loses its way; and
  all of mp3 and flac, where it believes the header about the length, gives up at the first damage, and lets
  its mp3 decoder print to stderr.
"""

from __future__ import annotations

from collections.abc import Callable

from arwkv_core.audio_source import AudioSource
from arwkv_core.decoder import DecodeError, Decoder, NoAudioTrack
from arwkv_core.errors import AudioError
from arwkv_core.ogg_pages import inspect_ogg
from arwkv_core.sound_chunk import SoundChunk

_SOUNDFILE_FIRST = tuple(b"RIFF RIFX RF64 riff FORM .snd dns. NIST Crea".split())
"""First bytes of wav (three kinds), w64, aiff, au (two kinds), NIST sphere and voc."""


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
    order, warnings = _plan(source, chunk)
    reasons: list[str] = []
    for opener in order:
        try:
            decoder = opener()
        except NoAudioTrack as error:
            raise AudioError(f"{source.name}: {error}") from error
        except DecodeError as error:
            reasons.append(str(error))
        else:
            decoder.warnings += warnings
            return decoder
    raise AudioError(f"{source.name}: can't be read as sound: {_advice(source)} ({'; '.join(reasons)})")


def _plan(source: AudioSource, chunk: SoundChunk | None) -> tuple[list[Callable[[], Decoder]], list[str]]:
    """Openers in the order of trying, and what is known to be wrong before any is tried."""

    def soundfile() -> Decoder:
        from arwkv_core.decode_soundfile import SoundfileDecoder

        return SoundfileDecoder(source)

    def soundfile_plain() -> Decoder:
        from arwkv_core.decode_soundfile import SoundfileDecoder

        return SoundfileDecoder(source, compressed=False)

    def pyav(patches: dict[int, bytes] | None = None) -> Decoder:
        from arwkv_core.decode_pyav import PyavDecoder

        return PyavDecoder(source, patches)

    def pyav_to_the_end() -> Decoder:
        # FFmpeg takes a size of 0 for "until the end", but would believe the 64-bit size of RF64.
        assert chunk is not None
        return pyav({0: b"RIFF", chunk.size_field: bytes(4)})

    if chunk is not None and chunk.promised is None and chunk.size_field and source.head[:4] != b"RIFX":
        return [pyav_to_the_end, soundfile], []  # libsndfile would stop after 4 GiB, or at once
    if _chatters(source.head):
        return [pyav], []
    caf_of_pcm = source.head.startswith(b"caff") and source.head[28:32] in (b"lpcm", b"ulaw", b"alaw")
    if source.head.startswith(_SOUNDFILE_FIRST) or caf_of_pcm:
        return [soundfile_plain, pyav, soundfile], []
    if source.head.startswith(b"OggS"):
        try:
            pages = inspect_ogg(source.file)
        except OSError:
            return [pyav, soundfile], []  # they will meet the same error, and tell where
        warnings = []
        if pages.damaged:
            places = "1 place" if pages.damaged == 1 else f"{pages.damaged} places"
            warnings.append(f"Ogg pages are damaged or missing in {places}")
        if not pages.ended:
            warnings.append("its last Ogg page is missing: truncated, or still being written")
        whole = pages.streams == 1 and not pages.damaged
        return [soundfile, pyav] if whole else [pyav, soundfile], warnings
    return [pyav, soundfile], []


def _chatters(head: bytes) -> bool:
    """Whether libsndfile's decoders would print to stderr if the file is damaged: mp3, also in wav, and ALAC."""
    mp3_in_wav = head.startswith(b"RIFF") and head[20:22] == b"\x55\0"
    alac_in_caf = head.startswith(b"caff") and head[28:32] == b"alac"
    return head.startswith((b"ID3", b"\xff")) or mp3_in_wav or alac_in_caf


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
