"""Labels as spreadsheets, Audacity and Raven write them, and folders as file managers leave them."""

import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import soundfile
from own_sounds import write_sound

from arwkv_core.errors import DatasetError
from arwkv_core.labelled.dataset import Dataset, read_dataset
from arwkv_core.timeline_reader import read_timelines

ROWS = [
    ("0.wav", "0.5", "1.5", "hum"),
    ("1.wav", "", "", "hum"),
    ("2.wav", "", "", "hiss"),
    ("3.wav", "", "", "hiss"),
]
TABLE = "\n".join(",".join(row) for row in [("file", "start", "end", "labels"), *ROWS]) + "\n"
TRACK = "0.0\t1.0\thum\n1.25\t1.75\thiss\n"
RAVEN = "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tAnnotation\n"


def sounds(folder: Path, *names: str) -> Path:
    for seed, name in enumerate(names):
        write_sound(folder / name, "hum", 2.0, seed)
    return folder


def parts(dataset: Dataset) -> list[tuple[str, float, float, tuple[str, ...]]]:
    return [(each.file.name, each.start, each.end, each.labels) for each in dataset.segments]


def refused(data: Path, *lines: str, **options: bool) -> None:
    """All problems, by what their lines hold."""
    with pytest.raises(DatasetError) as caught:
        read_dataset(data, **options)
    found = str(caught.value).splitlines()[1:]
    assert len(found) == len(lines), found
    for line in lines:
        assert any(line in each for each in found), (line, found)


@pytest.mark.parametrize(
    "content",
    [
        TABLE.encode("utf-8-sig"),
        TABLE.replace("\n", "\r\n").encode(),
        TABLE.replace(",", "\t").encode("utf-16"),
        TABLE.replace(",", ";").replace(".5", ",5").encode(),
        TABLE.replace("file,start", '"File",START').encode(),
        TABLE.replace("\n", ",,\n").encode() + b",,,,,\n\n",
    ],
    ids=["utf-8 with a mark", "crlf", "Excel's Unicode text", "semicolons", "capitals", "empty cells"],
)
def test_tables_are_read_as_spreadsheets_write_them(content: bytes, tmp_path: Path) -> None:
    sounds(tmp_path, *(row[0] for row in ROWS))
    (tmp_path / "a.csv").write_bytes(content)
    found = parts(read_dataset(tmp_path / "a.csv"))
    assert found[0] == ("0.wav", 0.5, 1.5, ("hum",))
    assert [(file, labels) for file, _, _, labels in found] == [(row[0], (row[3],)) for row in ROWS]


def test_another_encoding_and_other_columns_are_told_with_what_mends_them(tmp_path: Path) -> None:
    sounds(tmp_path, "0.wav")
    (tmp_path / "a.csv").write_bytes("file,label\n0.wav,Öl\n".encode("cp1252"))
    refused(
        tmp_path / "a.csv", "line 2: expected text in UTF-8 (Excel calls it CSV UTF-8), found the byte 0xd6"
    )
    (tmp_path / "b.csv").write_text("filename,fold,category,take\n0.wav,1,hum,A\n")
    hint = "the unknown columns 'filename', 'category', 'take' ('filename' may be 'file', 'category' may be 'label'"
    refused(tmp_path / "b.csv", hint, "a column 'file'", "a column 'label' or 'labels'")


def test_a_name_that_is_almost_there_is_told(tmp_path: Path) -> None:
    sounds(tmp_path, "0.WAV", unicodedata.normalize("NFD", "vögel.wav"), "2.wav")
    name = unicodedata.normalize("NFC", "vögel.wav")
    (tmp_path / "a.csv").write_text(f"file,label\n0.wav,hum\n{name},hum\n2.wav,hiss\n5.wav,hiss\n", "utf-8")
    refused(tmp_path / "a.csv", "is '0.WAV' meant?", "line 3", "5.wav: there is no such file")


def test_a_refused_row_does_not_make_others_wrong(tmp_path: Path) -> None:
    """Of a label in two recordings, one with a mistake in its row, it is not said that there is one recording only."""
    sounds(tmp_path, "0.wav", "1.wav", "2.wav")
    rows = ["file,end,label", "0.wav,1,hum", "1.wav,x,hum", "0.wav,2,hiss", "2.wav,,hiss"]
    (tmp_path / "a.csv").write_text("\n".join(rows))
    refused(tmp_path / "a.csv", "line 3: expected seconds in 'end', found 'x'")
    (tmp_path / "0.txt").write_bytes(TRACK.encode())
    (tmp_path / "1.txt").write_bytes(b"0\t1\t\xe4\n")
    refused(tmp_path, "1.txt, line 1: expected text in UTF-8")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_label_tracks_of_any_program(encoding: str, tmp_path: Path) -> None:
    sounds(tmp_path, "0.WAV", unicodedata.normalize("NFD", "vögel 1.wav"), "quiet.wav")
    (tmp_path / "0.TXT").write_bytes(TRACK.replace("\n", "\r\n").encode(encoding))
    track = TRACK.replace(".", ",").replace("hum", '"hum"')
    (tmp_path / unicodedata.normalize("NFC", "vögel 1.txt")).write_bytes(track.encode(encoding))
    (tmp_path / "._0.txt").write_bytes(b"\0\5\x16\7")
    (tmp_path / "._0.wav").write_bytes(b"\0\5\x16\7")
    (tmp_path / ".DS_Store").touch()
    (tmp_path / "back").symlink_to(tmp_path)
    dataset = read_dataset(tmp_path)
    expected = [(0.0, 1.0, ("hum",)), (1.25, 1.75, ("hiss",))] * 2
    assert [part[1:] for part in parts(dataset)] == expected
    assert dataset.remarks == (
        "1 recording without labels is left out; --background takes such as none of the classes",
    )
    assert read_dataset(tmp_path, background=True).remarks == ()
    assert len(read_timelines(tmp_path / "0.TXT")[0].events) == 2


def test_labels_of_no_recording_are_told_and_other_texts_are_not(tmp_path: Path) -> None:
    sounds(tmp_path, "night.wav", "0.wav", "1.wav")
    for name in ("0", "1", "Night"):
        (tmp_path / f"{name}.txt").write_text(TRACK)
    (tmp_path / "README.txt").write_text("recorded\tin\tMay\n")
    refused(tmp_path, "Night.txt: expected one recording of this name beside it, found none")
    (tmp_path / "Night.txt").write_text(RAVEN + "1\tW\t1\t0\t1\thum\n")
    refused(tmp_path, "Night.txt: expected one recording of this name beside it, found none")


@pytest.mark.parametrize(
    "header",
    [
        "End Time (s)\tBegin Time (s)\tView\tSelection\tPeak Freq (Hz)\tBegin File\tNotes\t{}",
        "{}\tBegin Time (s)\tEnd Time (s)",
    ],
)
@pytest.mark.parametrize("label", ["species", "Call Type"])
def test_columns_of_selection_tables_may_stand_anywhere(header: str, label: str, tmp_path: Path) -> None:
    sounds(tmp_path, "0.wav", "1.wav")
    columns = header.format(label).split("\t")
    for number in range(2):
        lines = ["\t".join(columns)]
        for selection, (start, end, word) in enumerate([("0.5", "1", "hum"), ("1", "1.5", "hiss")]):
            for view in ("Waveform 1", "Spectrogram 1"):
                cells = {
                    "Selection": str(selection),
                    "View": view,
                    "Begin Time (s)": start,
                    "End Time (s)": end,
                }
                cells |= {"Peak Freq (Hz)": "900", "Begin File": f"{number}.wav", label: word}
                lines.append("\t".join(cells.get(name, "") for name in columns))
        (tmp_path / f"{number}.Table.1.selections.txt").write_text("\n".join(lines))
    dataset = read_dataset(tmp_path)
    assert [part[1:] for part in parts(dataset)] == [(0.5, 1, ("hum",)), (1, 1.5, ("hiss",))] * 2
    events = read_timelines(tmp_path / "0.Table.1.selections.txt")[0].events
    assert [(event.start, event.end, event.name) for event in events] == [(0.5, 1, "hum"), (1, 1.5, "hiss")]


@pytest.mark.parametrize("name", ["0.Table.1.selections.txt", "all of them.txt"])
def test_a_selection_table_may_be_about_several_recordings(name: str, tmp_path: Path) -> None:
    sounds(tmp_path, "0.wav", "1.wav")
    header = "Selection\tBegin Time (s)\tEnd Time (s)\tBegin Path\tFile Offset (s)\tAnnotation"
    rows = [
        "1\t0.5\t1\tD:\\night\\0.wav\t0.5\thum",
        "2\t2.5\t3\t/card/1.WAV\t0.5\thiss",
        "3\t3\t3.5\t/card/1.WAV\t1\thum",
    ]
    rows += ["4\t1\t1.5\tD:\\night\\0.wav\t1\thiss"]
    table = tmp_path / name
    table.write_text("\n".join([header, *rows]))
    expected = [
        ("0.wav", 0.5, 1, ("hum",)),
        ("1.wav", 0.5, 1, ("hiss",)),
        ("1.wav", 1, 1.5, ("hum",)),
        ("0.wav", 1, 1.5, ("hiss",)),
    ]
    assert parts(read_dataset(tmp_path)) == expected
    table.write_text(table.read_text().replace("1.WAV", "2.wav"))
    refused(tmp_path, "expected the recording /card/2.wav beside it, found none of this name")
    table.write_text(
        "\n".join(
            ["\t".join(cells.split("\t")[place] for place in (0, 1, 2, 3, 5)) for cells in [header, *rows]]
        )
    )
    refused(tmp_path, "line 1: expected the column 'File Offset (s)', since times count from the first")


def test_folders_of_classes_with_what_else_lies_there(tmp_path: Path) -> None:
    folder = sounds(tmp_path / "a", "hum/0.wav", "hum/1.wav", "hiss/deep/2.wav", "hiss/3.WAV", "loose.wav")
    for name in (".DS_Store", "hum/._0.wav", "hum/Thumbs.db"):
        (folder / name).write_bytes(b"\0\5\x16\7")
    dataset = read_dataset(folder)
    assert len(dataset.segments) == 4
    assert dataset.remarks == ("1 recording that lies beside the folders of the classes: left out",)
    (folder / "empty").mkdir()
    refused(folder, "empty: expected recordings of this class, found none")


def test_splits_in_capitals_are_splits_and_a_train_is_a_train(tmp_path: Path) -> None:
    folder = sounds(
        tmp_path / "a", *(f"Train/{kind}/{take}.wav" for kind in ("hum", "hiss") for take in "01")
    )
    write_sound(folder / "TEST" / "hum" / "9.wav", "hum", 1.0, 99)
    assert {segment.split for segment in read_dataset(folder).segments} == {"train", "test"}
    sounds(folder, "validation/hum/8.wav")
    refused(folder, "validation: expected no folders but train, valid, test")
    vehicles = sounds(tmp_path / "b", "train/0.wav", "train/1.wav", "bus/2.wav", "bus/3.wav")
    assert set(read_dataset(vehicles).labels.names) == {"bus", "train"}


def test_a_folder_with_a_table_is_told_to_be_named_by_it(tmp_path: Path) -> None:
    sounds(tmp_path, "0.wav")
    (tmp_path / "labels.csv").write_text("file,label\n0.wav,hum\n")
    refused(tmp_path, f"name the table itself: {tmp_path / 'labels.csv'}")


@pytest.mark.parametrize("how", ["copy", "link"])
def test_copies_stay_in_one_fold_and_never_contradict(how: str, tmp_path: Path) -> None:
    folder = sounds(tmp_path / "a", *(f"{kind}/{take}.wav" for kind in ("hum", "hiss") for take in "012"))
    again = folder / "hum" / "again.wav"
    if how == "copy":
        shutil.copy(folder / "hum" / "0.wav", again)
    else:
        again.symlink_to(folder / "hum" / "0.wav")
    dataset = read_dataset(folder)
    groups = {segment.place: segment.group for segment in dataset.segments}
    assert groups[str(again)] == groups[str(folder / "hum" / "0.wav")]
    assert len(set(groups.values())) == 6
    assert dataset.remarks == ("1 recording is a copy of another: they stay together in folds and splits",)
    again.rename(folder / "hiss" / "again.wav")
    refused(folder, "expected 'hiss', as of the same recording at")
    for take in "12":
        (folder / "hum" / f"{take}.wav").unlink()
    (folder / "hiss" / "again.wav").rename(again)
    refused(folder, "at least 2 recordings with the label 'hum', found this one alone")


def test_silence_is_no_copy(tmp_path: Path) -> None:
    sounds(tmp_path, "hum/0.wav", "hum/1.wav")
    (tmp_path / "silence").mkdir()
    for take in "01":
        soundfile.write(tmp_path / "silence" / f"{take}.wav", np.zeros(8000), 16_000)
    assert read_dataset(tmp_path).remarks == ()


def test_what_is_too_short_to_be_heard_is_told_before_the_work(tmp_path: Path) -> None:
    sounds(tmp_path, "hum/0.wav", "hum/1.wav", "hiss/0.wav", "hiss/1.wav")
    soundfile.write(tmp_path / "hum" / "click.wav", np.ones(320) / 2, 16_000)
    refused(tmp_path, "click.wav: too short to analyse: expected at least 25 ms")
