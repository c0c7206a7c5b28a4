"""The label lists and the ontology that come with arwkv, and what becomes of damaged lists."""

import hashlib
from pathlib import Path

import pytest

import arwkv_models
from arwkv_core.errors import LabelError
from arwkv_core.labels import AUDIOSET_LABELS, LabelSet
from arwkv_core.ontology import AUDIOSET_ONTOLOGY, Ontology

BUNDLED_LABELS = arwkv_models.BUNDLED_FOLDER / "a-rwkv-t-open" / "labels.csv"
SPEECH, MUSIC = "/m/09x0r", "/m/04rlf"


@pytest.mark.parametrize(
    ("file", "sha256"),
    [
        (AUDIOSET_LABELS, "fb5c4a6cdb124ebce2840afbe56b53b72b71f3366c507cea9336b58d05f218a5"),
        (AUDIOSET_ONTOLOGY, "2b21111535188d4039d57ba8a14eff43cb3c7b5c5b8bdf446d8b8a258d75aac6"),
        (BUNDLED_LABELS, "b03d48f9ebe23f69ea825193de7e736934086a12410f0af47babe897b78bc0d3"),
    ],
    ids=lambda value: value.name if isinstance(value, Path) else "",
)
def test_data_files_are_what_they_were(file: Path, sha256: str) -> None:
    assert hashlib.sha256(file.read_bytes()).hexdigest() == sha256


def test_audioset_has_its_527_classes() -> None:
    labels = LabelSet.audioset()
    assert len(labels) == len(set(labels.mids)) == len(set(labels.names)) == 527
    spots = {0: (SPEECH, "Speech"), 137: (MUSIC, "Music"), 500: ("/m/028v0c", "Silence")}
    assert {row: (labels.mids[row], labels.names[row]) for row in spots} == spots
    assert labels.mids[526] == "/m/07hvw1"
    assert LabelSet.read(AUDIOSET_LABELS, count=527) == labels


def test_the_bundled_model_has_521_of_them_in_audiosets_order() -> None:
    labels, audioset = LabelSet.read(BUNDLED_LABELS, count=521), LabelSet.audioset()
    assert labels == audioset.subset(labels.mids)
    assert [audioset.index(mid) for mid in labels.mids] == sorted(audioset.index(mid) for mid in labels.mids)
    missing = set(audioset.names) - set(labels.names)
    assert missing == {
        "Male speech, man speaking",
        "Female speech, woman speaking",
        "Battle cry",
        "Male singing",
        "Female singing",
        "Funny music",
    }


@pytest.mark.parametrize("query", ["Music", "music", " MUSIC ", "/m/04rlf", "/M/04RLF"])
def test_a_class_is_found_by_mid_or_name_in_any_case(query: str) -> None:
    assert LabelSet.audioset().find(query) == 137


@pytest.mark.parametrize(
    ("query", "meant"), [("Speach", "Speech"), ("dog bark", "Bark"), ("guitr", "Guitar"), ("bird", "Bird")]
)
def test_a_near_miss_names_what_may_be_meant(query: str, meant: str) -> None:
    labels = LabelSet(*zip(*[pair for pair in LabelSet.audioset() if pair[1] != "Bird"], strict=True))
    with pytest.raises(LabelError, match=f"{query}.*did you mean .*{meant}"):
        labels.find(query)


def test_a_far_miss_names_nothing() -> None:
    with pytest.raises(LabelError) as caught:
        LabelSet.audioset().find("xqzzz")
    assert "did you mean" not in str(caught.value)
    assert "'xqzzz'" in str(caught.value)


def test_a_mid_gives_row_and_name_but_a_name_is_no_mid() -> None:
    labels = LabelSet.audioset()
    assert labels.index(MUSIC) == 137
    assert labels.name(MUSIC) == "Music"
    assert MUSIC in labels
    assert "Music" not in labels
    with pytest.raises(LabelError, match="no mid 'Music'"):
        labels.index("Music")


def test_a_name_of_two_classes_asks_for_a_mid() -> None:
    labels = LabelSet(["a", "b"], ["Gate", "gate"])
    with pytest.raises(LabelError, match=r"names 2 classes.*a, b"):
        labels.find("GATE")
    assert labels.find("b") == 1


def test_a_list_is_written_as_it_is_read(tmp_path: Path) -> None:
    labels = LabelSet(["/m/1", "own:2"], ['Door, "old"', "Größe"])
    labels.write(tmp_path / "labels.csv")
    assert LabelSet.read(tmp_path / "labels.csv") == labels


def test_columns_may_stand_in_any_order_and_be_more(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_bytes(b"display_name,extra,mid,index\r\nSpeech,7,/m/09x0r,0\r\n\r\nMusic,8,/m/04rlf,1\r\n")
    assert LabelSet.read(file).mids == (SPEECH, MUSIC)


HEADER = b"index,mid,display_name\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r", line 1: expected the column 'index' once"),
        (HEADER, r": expected at least one class, found none"),
        (b"index,display_name\n0,Speech\n", r", line 1: expected the column 'mid' once"),
        (b"index,mid,mid,display_name\n0,a,b,c\n", r", line 1: expected the column 'mid' once"),
        (b"\xef\xbb\xbf" + HEADER + b"0,a,A\n", r", line 1: begins with a byte order mark"),
        (HEADER + b"0,a,A\n1,a,B\n", r", line 3: mid 'a' stands already in line 2"),
        (HEADER + b"0,a,A\n2,b,B\n", r", line 3: expected the index 1, found '2'"),
        (HEADER + b"1,a,A\n", r", line 2: expected the index 0, found '1'"),
        (HEADER + b"0,a,A\n1,b\n", r", line 3: expected 3 fields, found 2"),
        (HEADER + b"0,a,A, B\n", r", line 2: expected 3 fields, found 4"),
        (HEADER + b"0,,A\n", r", line 2: expected a mid without blanks, found ''"),
        (HEADER + b"0,a, \n", r", line 2: expected a display name for a"),
        (HEADER + b"0,a,A\n1,b,\xff\n", r", line 3: expected UTF-8 text, found the byte 0xff"),
        (HEADER + b'0,a,"A\n', r", line 2: not CSV"),
        (HEADER.decode().encode("utf-16"), r", line 1: expected UTF-8 text"),
    ],
)
def test_a_damaged_list_is_refused_with_file_and_line(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "labels.csv"
    file.write_bytes(content)
    with pytest.raises(LabelError, match=r"labels\.csv" + message):
        LabelSet.read(file)


def test_a_list_of_another_length_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="expected 527 classes, found 521"):
        LabelSet.read(BUNDLED_LABELS, count=527)
    with pytest.raises(LabelError, match=r"none\.csv: can't be read: No such file"):
        LabelSet.read(tmp_path / "none.csv")


def test_the_ontology_knows_every_class() -> None:
    ontology = Ontology.audioset()
    assert len(ontology) == 632
    assert all(ontology.name(mid) == name for mid, name in LabelSet.audioset())
    assert [ontology.name(mid) for mid in ontology.roots] == [
        "Human sounds",
        "Animal",
        "Music",
        "Natural sounds",
        "Sounds of things",
        "Source-ambiguous sounds",
        "Channel, environment and background",
    ]


def test_the_ontology_leads_up_and_down() -> None:
    ontology = Ontology.audioset()
    growling = ontology.find("growling")
    assert len(ontology.parents(growling)) == 4
    assert all(growling in ontology.children(parent) for parent in ontology.parents(growling))
    above = ontology.ancestors(growling)
    assert len(above) == len(set(above))
    assert ontology.find("Animal") == above[-1]
    below = ontology.descendants(ontology.find("Animal"))
    assert growling in below
    assert MUSIC not in below
    assert [ontology.name(mid) for mid in ontology.ancestors(SPEECH)] == ["Human voice", "Human sounds"]
    assert ontology.ancestors(MUSIC) == ontology.parents(MUSIC) == ()
    assert ontology.children(ontology.find("Bow-wow")) == ()


def test_the_ontology_refuses_what_it_does_not_know() -> None:
    ontology = Ontology.audioset()
    with pytest.raises(LabelError, match="did you mean"):
        ontology.find("Growlin")
    for ask in (ontology.name, ontology.parents, ontology.children, ontology.ancestors, ontology.descendants):
        with pytest.raises(LabelError, match="no mid 'Growling' among the 632 nodes"):
            ask("Growling")


def test_an_ontology_must_be_whole_and_acyclic() -> None:
    with pytest.raises(LabelError, match="'c', of 'a', is not a node"):
        Ontology({"a": "A", "b": "B"}, {"a": ("c",)})
    with pytest.raises(LabelError, match="its own ancestor"):
        Ontology({"a": "A", "b": "B"}, {"a": ("b",), "b": ("a",)})
