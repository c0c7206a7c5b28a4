"""Ogg files: whole, truncated, joined and damaged ones are told apart by their pages."""

import io
from pathlib import Path

import pytest
import soundfile
from sound_files import overwritten, tones

from arwkv_core.ogg_pages import OggPages, inspect_ogg


@pytest.fixture(scope="module", params=["VORBIS", "OPUS"])
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path: Path = tmp_path_factory.mktemp("ogg") / "sound.ogg"
    soundfile.write(path, tones(3.0, 48_000), 48_000, format="OGG", subtype=request.param)
    return path.read_bytes()


def pages_of(content: bytes) -> OggPages:
    return inspect_ogg(io.BytesIO(content))


def second_last(content: bytes) -> int:
    """Where the last but one page begins."""
    return content.rfind(b"OggS", 0, content.rfind(b"OggS"))


def test_whole(whole: bytes) -> None:
    assert pages_of(whole) == OggPages(streams=1, damaged=0, ended=True)


def test_truncated(whole: bytes) -> None:
    last = whole.rfind(b"OggS")
    for end in (last, last + 3, last + 27, len(whole) - 1):
        assert pages_of(whole[:end]) == OggPages(streams=1, damaged=0, ended=False)


def test_joined(whole: bytes) -> None:
    assert pages_of(3 * whole) == OggPages(streams=3, damaged=0, ended=True)


def test_every_kind_of_damage_counts(whole: bytes) -> None:
    page = second_last(whole)
    one_bit = bytearray(whole)
    one_bit[page + 200] ^= 1
    lost = whole[:page] + whole[whole.rfind(b"OggS") :]
    inserted = whole[:page] + b"xx" + whole[page:]
    no_mark = whole[:page] + b"oggs" + whole[page + 4 :]
    for damaged in (bytes(one_bit), lost, inserted, no_mark, overwritten(whole, 0.5, 2000)):
        assert pages_of(damaged) == OggPages(streams=1, damaged=1, ended=True)


@pytest.mark.parametrize("content", [b"", b"OggS", b"OggS" * 5_000, bytes(200_000), b"Og" * 70_000])
def test_nonsense_ends(content: bytes) -> None:
    assert not pages_of(content).ended
