"""Fitting a calibration to clips of a small corpus, and to labelled sounds."""

import csv
import json
import re
import shutil
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import RunArwkv
from fake_models import PUBLISHED, published_file, random_model
from small_corpus import CLASSES, RATE, make_corpus, sound

import arwkv_core
from arwkv_core.architecture import Architecture
from arwkv_core.calibrating.card import BEGIN, END, with_section
from arwkv_core.calibrating.evidence import hear
from arwkv_core.calibrating.material import of_sounds
from arwkv_core.calibration import Calibration
from arwkv_core.checkpoint import save_model_folder
from arwkv_core.errors import ArwkvError, ConfigError, DatasetError, UsageError
from arwkv_core.event_defaults import ClassDefaults, read_class_defaults
from arwkv_core.labels import LabelSet
from arwkv_core.model_config import ModelConfig
from arwkv_core.score_codec import encode
from arwkv_core.training.corpus import Corpus

LABELS = LabelSet(*zip(*CLASSES, strict=True))
SMALL = Architecture(depth=1, width=64, classes=3, position="frequency")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return make_corpus(tmp_path / "corpus")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    config = ModelConfig("small", SMALL, "sigmoid")
    save_model_folder(tmp_path / "small", random_model(SMALL), config, LABELS, "# small\n\nWords.\n")
    return tmp_path / "small"


def test_a_model_is_calibrated_in_its_folder(model: Path, corpus: Path) -> None:
    (model / "events.csv").write_text("mid,on,off,median\n/x/hum,0.9,0.8,1.5\n/x/other,,,2\n/x/hiss,0.7,,\n")
    weights = (model / "model.safetensors").read_bytes()
    report = arwkv_core.calibrate(model, corpus / "manifest.csv", split="train", progress=False)
    assert report.folder == model
    assert report.clips == len(Corpus.read(corpus / "manifest.csv", corpus / "labels.csv").split("train"))
    assert report.by_teacher
    assert report.own == 3
    calibration = Calibration.of_folder(model)
    assert calibration is not None
    assert calibration.digest == report.calibration
    assert list(calibration.curves) == list(LABELS.mids)
    assert report.after.log_loss < report.before.log_loss  # random scores: any fit is better
    assert (model / "model.safetensors").read_bytes() == weights
    events = read_class_defaults(model / "events.csv")
    assert events["*"] == ClassDefaults(on=report.on)
    assert events["/x/hum"].median == 1.5  # not ours to change
    assert events["/x/other"] == ClassDefaults(median=2)
    chosen = {row["mid"]: (row["on"], row["off"]) for row in report.thresholds}
    assert all(
        (own.on, own.off) == chosen.get(mid, (None, None)) for mid, own in events.items() if mid != "*"
    )
    card = (model / "CARD.md").read_text("utf-8")
    assert card.startswith("# small\n\nWords.\n\n" + BEGIN)
    assert f"| {report.before.log_loss:.3f} | {report.after.log_loss:.3f} |" in card
    assert ElementTree.parse(model / "reliability.svg").getroot().tag.endswith("svg")

    tagger = arwkv_core.load(model)
    assert tagger.tag(corpus / "audio" / "000.wav").calibration == report.calibration
    with pytest.raises(UsageError, match=r"calibration\.csv: exists already; --overwrite replaces it"):
        arwkv_core.calibrate(model, corpus / "manifest.csv", progress=False)
    again = arwkv_core.calibrate(
        model, corpus / "manifest.csv", split="train", overwrite=True, progress=False
    )
    assert again == report  # fitted to the network's scores, not to calibrated ones
    assert (model / "CARD.md").read_text("utf-8") == card


def test_a_published_file_is_calibrated_into_a_folder(tmp_path: Path) -> None:
    """Its softmax, 527 classes, of which the corpus knows three; no teacher."""
    published = published_file(tmp_path / "audio_model.pth")
    corpus = make_corpus(tmp_path / "corpus", clips=24)
    names = ("Hum", "Hiss", "Clicking")
    (corpus / "teacher_frames.npz").unlink()
    audioset = LabelSet.audioset()
    LabelSet([audioset.mids[audioset.find(name)] for name in names], names).write(corpus / "labels.csv")
    manifest = corpus / "manifest.csv"
    manifest.write_text(manifest.read_text().replace("Clicks", "Clicking"))
    with pytest.raises(UsageError, match=r"audio_model\.pth: a bare weight file .*--output FOLDER"):
        arwkv_core.calibrate(published, manifest, progress=False)
    target = tmp_path / "calibrated"
    report = arwkv_core.calibrate(published, manifest, split="train", output=target, progress=False)
    assert not report.by_teacher
    assert (report.own, report.shared_classes) == (3, PUBLISHED.classes - 3)
    tagger = arwkv_core.load(target)
    assert tagger.config.score_function == "softmax"
    result = tagger.tag(corpus / "audio" / "000.wav")
    assert (result.calibration, result.active_threshold) == (report.calibration, report.on)
    assert tagger.tag(corpus / "audio" / "000.wav", raw_scores=True).active_threshold == 0.1
    card = (target / "CARD.md").read_text("utf-8")
    assert "bare weight file" in card
    assert BEGIN in card


def test_a_corpus_without_a_list_of_classes_has_the_models(model: Path, corpus: Path, tmp_path: Path) -> None:
    expected = arwkv_core.calibrate(model, corpus / "manifest.csv", output=tmp_path / "a", progress=False)
    shutil.copy(corpus / "labels.csv", model / "labels.csv")
    (corpus / "labels.csv").unlink()
    found = arwkv_core.calibrate(model, corpus / "manifest.csv", output=tmp_path / "b", progress=False)
    assert found.calibration == expected.calibration
    (model / "labels.csv").rename(tmp_path / "labels.csv")
    with pytest.raises(UsageError, match="--labels names the classes"):
        arwkv_core.calibrate(model, corpus / "manifest.csv", output=tmp_path / "c", progress=False)


def sounds_of(corpus: Path, table: Path, split: str) -> list[dict[str, str]]:
    """The clips of a corpus' split whose source states a class, as labelled sounds; what was written."""
    with (corpus / "manifest.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == split and row["known_labels"]]
    found = [{"file": row["path"], "labels": row["known_labels"], "split": split} for row in rows]
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, ("file", "labels", "split"))
        writer.writeheader()
        writer.writerows(found)
    return found


def make_nights(folder: Path) -> Path:
    """Recordings with label tracks: three faint seconds, four of a class, five of silence."""
    rng = np.random.default_rng(5)
    folder.mkdir()
    for index in range(8):
        kind = 2 * (index % 2)
        parts = (sound(1, 3.0, rng) * 0.01, sound(kind, 4.0, rng), np.zeros(RATE * 5))
        soundfile.write(folder / f"{index}.wav", np.concatenate(parts), RATE)
        (folder / f"{index}.txt").write_text(f"3.0\t7.0\t{CLASSES[kind][1]}\n")
    return folder


def test_labelled_sounds_are_fitted_to_as_a_corpus_of_them_would_be(
    model: Path, corpus: Path, tmp_path: Path
) -> None:
    (corpus / "teacher_frames.npz").unlink()
    with (corpus / "manifest.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["known_labels"]]
    with (corpus / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    expected = arwkv_core.calibrate(
        model, corpus, split="train", output=tmp_path / "a", progress=False
    )  # a folder with a manifest
    sounds = sounds_of(corpus, corpus / "sounds.csv", "train")
    found = arwkv_core.calibrate(
        model, corpus / "sounds.csv", split="train", output=tmp_path / "b", progress=False
    )
    assert found.clips == expected.clips == len(sounds)
    assert (found.split, found.by_teacher) == ("train", False)
    assert found.shared == pytest.approx(expected.shared, abs=0.05)  # halves differ, and the prior with them
    curves = [
        Calibration.of_folder(folder) for folder in (tmp_path / "a", tmp_path / "b")
    ]  # fitted to both halves together
    for mid in LABELS.mids:
        one, other = (each.curves[mid] for each in curves if each is not None)
        assert other.clips == one.clips > 0
        assert (other.slope, other.offset) == pytest.approx((one.slope, one.offset), abs=0.05)
    with pytest.raises(DatasetError, match=r"the split valid, found none: there are train \(--split\)"):
        arwkv_core.calibrate(model, corpus / "sounds.csv", output=tmp_path / "c", progress=False)


def test_parts_of_long_recordings_are_heard_where_they_lie(model: Path, tmp_path: Path) -> None:
    folder = make_nights(tmp_path / "nights")
    alone = arwkv_core.calibrate(model, folder, output=tmp_path / "alone", progress=False)
    whole = arwkv_core.calibrate(model, folder, background=True, output=tmp_path / "whole", progress=False)
    assert (alone.clips, whole.clips) == (8, 24)
    assert alone.split == whole.split == ""
    assert "fitted to 24 clips\nby `arwkv calibrate`" in (tmp_path / "whole" / "CARD.md").read_text("utf-8")
    tagger = arwkv_core.load(model)
    material = of_sounds(folder, "valid", tagger.labels, background=True)
    clips = list(hear(tagger, material.corpus, material.clips, material.halves, progress=False))
    assert sum(material.halves) == 12
    for first in range(0, 24, 3):
        assert len({clip.half for clip in clips[first : first + 3]}) == 1
        path = material.corpus.clips[material.clips[first]].path
        scores = encode(tagger.step_scores(path, raw_scores=True).values)
        together = np.concatenate([clip.codes for clip in clips[first : first + 3]])
        np.testing.assert_array_equal(together, scores[: len(together)])
        assert len(scores) - len(together) <= 1
        before, during, after = (clip.sounding.any(1).sum() for clip in clips[first : first + 3])
        assert (before, after) == (0, 0)
        assert during > 0


def test_sounds_of_other_classes_and_options_of_the_other_kind_are_refused(
    model: Path, corpus: Path, tmp_path: Path
) -> None:
    sounds_of(corpus, corpus / "sounds.csv", "train")
    text = (corpus / "sounds.csv").read_text()
    (corpus / "sounds.csv").write_text(text.replace("Hum", "Humming bird"))
    with pytest.raises(DatasetError, match=r"found others: 'Humming bird'; mend their names \(labels\.csv"):
        arwkv_core.calibrate(model, corpus / "sounds.csv", split="train", progress=False)
    with pytest.raises(UsageError, match=r"--teacher .*: is for a corpus, .*sounds\.csv is none"):
        arwkv_core.calibrate(model, corpus / "sounds.csv", teacher="frames.npz", progress=False)
    with pytest.raises(UsageError, match=r"--background: is for labelled sounds"):
        arwkv_core.calibrate(model, corpus / "manifest.csv", background=True, progress=False)
    with pytest.raises(ArwkvError, match=r"none\.csv: can't be read"):
        arwkv_core.calibrate(model, corpus / "none.csv", progress=False)
    assert not (model / "calibration.csv").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus", "small"]


def test_what_cannot_be_fitted_is_refused_and_nothing_lost(model: Path, corpus: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in model.iterdir()}
    manifest = corpus / "manifest.csv"

    def refused(message: str, **options: object) -> None:
        with pytest.raises(UsageError, match=message):
            arwkv_core.calibrate(model, manifest, progress=False, **options)

    refused("--split: expected one of train, valid, test, found 'all'", split="all")
    (tmp_path / "there").mkdir()
    refused("there: exists already; --overwrite replaces it", output=tmp_path / "there")
    gone = [corpus / "audio" / name for name in ("009.wav", "010.wav")]
    for path in gone:
        path.rename(path.with_suffix(".off"))
    refused(r"expected 6 clips, of these there is no file:\n  .*009\.wav\n  .*010\.wav")
    gone[0].write_text("no sound")
    refused(
        r"no file:\n  .*010\.wav\n  expected 6 clips, of these can't be heard:\n  .*009\.wav: can't be read"
    )
    for path in gone:
        path.with_suffix(".off").rename(path)
    text = manifest.read_text()
    manifest.write_text(re.sub(r"(,made,).*", r"\1one.wav", text))
    refused("expected clips of several recordings .* found 6 in one half")
    manifest.write_text(re.sub(r"(Hum|Hiss|Clicks),made", ",made", text))
    (corpus / "teacher_frames.npz").unlink()
    refused("expected clips in which classes of the model sound, found none")
    assert {path.name: path.read_bytes() for path in model.iterdir()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus", "small", "there"]


def test_a_section_keeps_its_place_and_broken_markers_are_refused(model: Path, corpus: Path) -> None:
    report = arwkv_core.calibrate(model, corpus / "manifest.csv", split="train", progress=False)
    card = f"# a\n\n{BEGIN}\nold\n{END}\n\n## Licence\n"
    found = with_section(card, report, "CARD.md")
    assert found.startswith(f"# a\n\n{BEGIN}\n## Calibration\n")
    assert found.endswith(f"{END}\n\n## Licence\n")
    assert "old" not in found
    assert with_section(found, report, "CARD.md") == found
    for broken in (BEGIN, END, f"{END}{BEGIN}", f"{BEGIN}{END}{BEGIN}{END}"):
        with pytest.raises(ConfigError, match=r"CARD\.md: expected the line"):
            with_section(broken, report, "CARD.md")


def test_the_page_runs(
    checkout: Path, model: Path, corpus: Path, run_arwkv: RunArwkv, tmp_path: Path
) -> None:
    """The commands of docs/calibration.md, each in a process of its own."""
    page = (checkout / "docs" / "calibration.md").read_text("utf-8")
    shutil.copytree(model, tmp_path / "mine")
    manifest = corpus / "manifest.csv"  # the small corpus has most of its clips in another split
    manifest.write_text(manifest.read_text().replace(",valid,", ",x,").replace(",train,", ",valid,"))
    manifest.write_text(manifest.read_text().replace(",x,", ",train,"))
    shutil.copy(corpus / "audio" / "000.wav", tmp_path / "night.wav")
    make_nights(tmp_path / "nights")
    commands = [
        line.split()[1:]
        for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
        for line in block.splitlines()
    ]
    assert {command[0] for command in commands} == {"calibrate", "tag", "timeline"}
    for command in commands:
        run_arwkv(*command, check=True)

    done = run_arwkv(
        *("calibrate", "mine", "corpus/manifest.csv", "--overwrite", "--format", "json", "--quiet"),
        check=True,
    )
    report = json.loads(done.stdout)
    assert report["schema_version"] == 1
    assert report["calibration"] == Calibration.read(tmp_path / "mine" / "calibration.csv").digest
    assert done.stderr == ""
    tag = ("tag", "night.wav", "--model", "mine", "--format", "json")
    calibrated, raw = (
        json.loads(run_arwkv(*tag, *way, check=True).stdout) for way in ((), ("--raw-scores",))
    )
    assert calibrated[0]["calibration"] == report["calibration"]
    assert raw[0]["calibration"] is None
    assert calibrated[0]["tags"] != raw[0]["tags"]
    refused = run_arwkv("calibrate", "mine", "corpus/manifest.csv")
    assert refused.returncode == 2
    assert "--overwrite" in refused.stderr
