"""Where recordings come from: paths of all names, standard input, pipes and file objects."""

import io
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sound_files import encode, mp3, read, tones

from arwkv_core.audio import open_audio
from arwkv_core.errors import AudioError

ONE_SECOND = "import arwkv_core; a = arwkv_core.open_audio('-'); print(sum(map(len, a)), a.path)"


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "sound.wav", tones(1.0, 32_000), 32_000)
    return tmp_path / "sound.wav"


@pytest.mark.parametrize(
    "name", ["a b.wav", "día – 鳥 🐦.wav", "12:30:00.wav", "-x.wav", "%d.wav", "concat:a.mp3"]
)
def test_names(tmp_path: Path, sound: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mp3(tmp_path / "other.mp3", 1.0).rename(tmp_path / name) if name.endswith("3") else sound.rename(
        tmp_path / name
    )
    monkeypatch.chdir(tmp_path)
    for path in (name, Path(name), tmp_path / name):
        assert read(path)[0].decoded_seconds == 1.0


def test_a_name_that_is_not_utf_8(sound: Path) -> None:
    raw = os.fsencode(sound.parent) + b"/caf\xe9.wav"
    try:
        sound.rename(os.fsdecode(raw))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    audio, _ = read(os.fsdecode(raw))
    assert audio.decoded_seconds == 1.0
    with pytest.raises(AudioError) as caught:
        open_audio(os.fsdecode(raw), channel=5)
    assert "caf\\udce9.wav" in str(caught.value)
    str(caught.value).encode()


@pytest.mark.parametrize("kind", ["missing", "folder", "device", "zero byte"])
def test_what_is_no_file(tmp_path: Path, kind: str) -> None:
    path, reason = {
        "missing": (str(tmp_path / "none.wav"), "no such file"),
        "folder": (str(tmp_path), "is a folder"),
        "device": (os.devnull, "is a device"),
        "zero byte": ("a\0b.wav", "null"),
    }[kind]
    with pytest.raises(AudioError, match=reason):
        open_audio(path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(sound: Path) -> None:
    sound.chmod(0)
    with pytest.raises(AudioError, match=r"sound\.wav: .*permission"):
        open_audio(sound)


def test_permission_is_named(sound: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(AudioError, match=r"sound\.wav: .*permission denied"):
        open_audio(sound)


@pytest.mark.parametrize("suffix", ["wav", "m4a"])
@pytest.mark.parametrize("piped", [True, False])
def test_standard_input(tmp_path: Path, suffix: str, piped: bool) -> None:
    path = tmp_path / f"sound.{suffix}"
    if suffix == "wav":
        soundfile.write(path, tones(1.0, 32_000), 32_000)
    else:
        encode(path, "alac", tones(1.0, 32_000), 32_000)  # an index at its end: it takes seeking
    if piped:
        done = subprocess.run(
            [sys.executable, "-c", ONE_SECOND], input=path.read_bytes(), capture_output=True
        )
    else:
        with path.open("rb") as file:
            done = subprocess.run([sys.executable, "-c", ONE_SECOND], stdin=file, capture_output=True)
    assert done.stdout.split() == [b"32000", b"-"], done.stderr.decode()
    assert done.stderr == b""


def test_empty_standard_input() -> None:
    done = subprocess.run([sys.executable, "-c", ONE_SECOND], input=b"", capture_output=True)
    assert b"AudioError: standard input: is empty" in done.stderr


def test_samples_without_a_header_are_refused() -> None:
    raw = tones(1.0).tobytes()
    with pytest.raises(AudioError, match="can't be read as sound"):
        open_audio(io.BytesIO(raw))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_named_pipe(tmp_path: Path, sound: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(sound.read_bytes()))
    writer.start()
    assert read(pipe)[0].decoded_seconds == 1.0
    writer.join()


class Unseekable(io.RawIOBase):
    """A response from a network, for example."""

    def __init__(self, content: bytes) -> None:
        self._content = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        return self._content.readinto(memoryview(buffer)[:1000])


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "ogg"])
def test_file_objects(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"sound.{suffix}"
    soundfile.write(path, tones(1.0), 44_100)
    _, expected = read(path)
    content = path.read_bytes()
    in_memory = io.BytesIO(content)
    in_memory.seek(17)
    with path.open("rb") as opened:
        for file in (in_memory, opened, Unseekable(content)):
            audio, heard = read(file)
            assert np.array_equal(heard, expected)
            assert not file.closed
    assert not in_memory.closed
    assert audio.path == "the file object"
    with path.open(encoding="latin-1") as text, pytest.raises(AudioError, match="mode 'rb'"):
        open_audio(text)  # type: ignore[arg-type]


class Failing(io.BytesIO):
    """A disk that dies halfway."""

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() > len(self.getbuffer()) // 2:
            raise OSError(5, "Input/output error")
        return super().read(size)

    readinto = None  # type: ignore[assignment]


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
def test_a_read_error_in_the_middle_is_told(
    tmp_path: Path, suffix: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"sound.{suffix}"
    soundfile.write(path, tones(4.0), 44_100)
    audio, _ = read(Failing(path.read_bytes()))
    assert 0.5 < audio.decoded_seconds < 4.0
    assert any("Input/output error" in warning for warning in audio.warnings)
    assert capfd.readouterr() == ("", "")


def test_a_playlist_opens_no_other_file(tmp_path: Path, sound: Path) -> None:
    for text in (f"#EXTM3U\n#EXTINF:1,\n{sound}\n", f"ffconcat version 1.0\nfile '{sound.name}'\n"):
        (tmp_path / "list.m4a").write_text(text)
        with pytest.raises(AudioError, match="holds text"):
            open_audio(tmp_path / "list.m4a")


def test_no_room_for_a_copy(sound: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfileobj", full)
    with pytest.raises(AudioError, match=r"No space left on device; set TMPDIR"):
        open_audio(Unseekable(sound.read_bytes()))  # type: ignore[arg-type]
