"""Fitting a calibration: to made-up evidence whose truth is known, and to clips of a small corpus."""

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
from arwkv_core.calibrating.evidence import Evidence, HeardClip, hear
from arwkv_core.calibrating.fit import choose_width, crossed, fit_curve, fit_curves
from arwkv_core.calibrating.material import of_sounds
from arwkv_core.calibrating.reliability import measure
from arwkv_core.calibrating.thresholds import choose_thresholds
from arwkv_core.calibration import Calibration
from arwkv_core.checkpoint import save_model_folder
from arwkv_core.errors import ArwkvError, ConfigError, DatasetError, UsageError
from arwkv_core.event_defaults import ClassDefaults, read_class_defaults
from arwkv_core.labels import LabelSet
from arwkv_core.model_config import ModelConfig
from arwkv_core.score_codec import LEVELS, encode
from arwkv_core.training.corpus import Corpus

LABELS = LabelSet(*zip(*CLASSES, strict=True))
SMALL = Architecture(depth=1, width=64, classes=3, position="frequency")


def made_up(slopes: list[float], offsets: list[float], clips: int = 120, seed: int = 0) -> list[HeardClip]:
    """Clips whose classes sound with the probability that a curve gives their scores, step by step."""
    rng = np.random.default_rng(seed)
    found = []
    for index in range(clips):
        logits = rng.normal(-1, 2, (60, len(slopes)))
        truth = rng.random(logits.shape) < 1 / (1 + np.exp(-(logits * slopes + offsets)))
        scores = (1 / (1 + np.exp(-logits))).astype(np.float32)
        found.append(HeardClip(encode(scores), truth, index % 2))
    return found


def evidence_of(clips: list[HeardClip], judged: list[bool] | None = None) -> Evidence:
    classes = clips[0].codes.shape[1]
    return Evidence.of(clips, np.array(judged or [True] * classes))


def unchanged(classes: int) -> np.ndarray:
    return np.repeat(LEVELS.astype(np.float64)[:, None], classes, axis=1)


def test_evidence_counts_every_step_and_weighs_clips_alike() -> None:
    codes = np.array([[0, 5], [5, 5], [5, 9]], np.uint8)
    sounding = np.array([[False, True], [True, False], [True, True]])
    long = HeardClip(np.repeat(codes, 2, axis=0), np.repeat(sounding, 2, axis=0), 1)
    found = Evidence.of([HeardClip(codes, sounding, 0), long], np.array([True, True]))
    for half in (0, 1):
        assert found.total[half, 5].tolist() == pytest.approx([2 / 3, 2 / 3])
        assert found.positive[half, 5].tolist() == pytest.approx([2 / 3, 1 / 3])
        assert found.total[half].sum(0).tolist() == pytest.approx([1, 1])
    assert found.clips.tolist() == [[0, 0], [1, 1]]  # three steps are needed; the second has four of each
    none = Evidence.of([long], np.array([True, False]))
    assert none.positive[:, :, 1].sum() == none.total[:, :, 1].sum() == none.clips[:, 1].sum() == 0


def test_the_true_curve_is_found() -> None:
    slopes, offsets = [1.6, 0.5, 1.0], [-1.5, 0.5, 0.0]
    evidence = evidence_of(made_up(slopes, offsets, clips=2_000))
    width = choose_width(evidence)
    curves = fit_curves(evidence, (0, 1), width)
    np.testing.assert_allclose(curves.slope, slopes, rtol=0.1)
    np.testing.assert_allclose(curves.offset, offsets, atol=0.15)
    assert width >= 1  # these classes differ
    assert curves.own.all()


def test_without_evidence_nothing_changes_and_classes_share() -> None:
    none = np.zeros(len(LEVELS))
    assert fit_curve(none, none) == (1, 0)
    assert fit_curve(none, none, (1.4, -2.0), 0.3) == pytest.approx((1.4, -2.0))
    evidence = evidence_of(made_up([1.5, 1.5, 1.5], [-1.0, -1.0, -1.0]), [True, True, False])
    curves = fit_curves(evidence, (0, 1), 0.3)
    assert curves.own.tolist() == [True, True, False]
    assert (curves.slope[2], curves.offset[2]) == curves.shared
    assert curves.shared == pytest.approx((1.5, -1.0), abs=0.2)


def test_a_narrow_prior_holds_classes_together_and_slopes_stay_above_0() -> None:
    evidence = evidence_of(made_up([2.0, 0.5], [1.0, -1.0]))
    spread = [np.ptp(fit_curves(evidence, (0, 1), width).offset) for width in (0.03, 0.3, 3.0)]
    assert spread == sorted(spread)
    assert spread[0] < 0.05
    wrong = evidence_of(made_up([-2.0], [0.0], clips=1_000))  # the higher the score, the rarer
    for width in (0.03, 3.0, 100.0):
        assert fit_curves(wrong, (0, 1), width).slope.min() > 0


def test_a_wide_prior_is_no_prior() -> None:
    """Against scikit-learn's logistic regression, which knows priors around 0 only."""
    linear_model = pytest.importorskip("sklearn.linear_model")
    evidence = evidence_of(made_up([1.3], [-0.7], clips=300))
    positive, total = (part.sum((0, 2)) for part in (evidence.positive, evidence.total))
    logits = np.log(LEVELS.astype(float)) - np.log1p(-LEVELS.astype(float))
    plain = linear_model.LogisticRegression(C=np.inf, tol=1e-10, max_iter=1_000)
    weights = np.concatenate([positive, total - positive])
    plain.fit(np.tile(logits, 2)[:, None], np.repeat([1, 0], len(LEVELS)), sample_weight=weights)
    slope, offset = fit_curve(positive, total, width=1e3)
    assert slope == pytest.approx(plain.coef_[0, 0], rel=1e-3)
    assert offset == pytest.approx(plain.intercept_[0], abs=1e-3)


def test_the_error_falls_on_recordings_that_had_no_part() -> None:
    evidence = evidence_of(made_up([1.5, 1.3, 1.4], [-2.0, -1.5, -1.0]))
    before = measure(evidence, [unchanged(3)] * 2)
    after = measure(evidence, [c.probabilities() for c in crossed(evidence, choose_width(evidence))])
    assert before.ece > 0.1
    assert after.ece < 0.03
    assert after.class_ece < before.class_ece / 2
    assert after.log_loss < before.log_loss
    assert after.classes == before.classes == 3
    assert sum(entry.clips for entry in after.bins) == pytest.approx(3 * 120)


def test_the_error_by_hand() -> None:
    codes = encode(np.full((10, 1), 0.75, np.float32))
    truth = np.arange(10)[:, None] < 4
    evidence = evidence_of([HeardClip(codes, truth, 0), HeardClip(codes, truth, 1)])
    said = float(LEVELS[codes[0, 0]])
    found = measure(evidence, [unchanged(1)] * 2)
    assert found.ece == pytest.approx(said - 0.4)
    assert [(b.probability, b.observed, b.clips) for b in found.bins] == [
        (pytest.approx(said), pytest.approx(0.4), pytest.approx(2))
    ]
    assert found.log_loss == pytest.approx(-0.4 * np.log(said) - 0.6 * np.log(1 - said))
    assert found.classes == 0
    assert np.isnan(found.class_ece)
    assert found.to_dict()["class_ece"] is None
    low = evidence_of([HeardClip(np.zeros_like(codes), truth & False, half) for half in (0, 1)])
    assert np.isnan(measure(low, [unchanged(1)] * 2).ece)


def test_thresholds_are_chosen_where_they_help() -> None:
    """The first class scores 0.25 where it sounds, the second 0.9, the third sounds too rarely to tell."""
    rng = np.random.default_rng(3)
    clips = []
    for index in range(40):
        sounding = np.zeros((60, 3), bool)
        sounding[20:40, :2] = True
        sounding[20:40, 2] = index < 4
        scores = np.where(sounding, [0.25, 0.9, 0.25], 0.02) * rng.uniform(0.9, 1.1, sounding.shape)
        clips.append(HeardClip(encode(scores.astype(np.float32)), sounding, index // 2 % 2))
    choice = choose_thresholds(clips, evidence_of(clips), unchanged(3).astype(np.float32))
    assert choice.on == 0.2  # one for all finds them all
    assert choice.classes == ()

    scores = np.stack([np.where(clip.sounding[:, 1], 0.9, 0.4) for clip in clips])  # and 0.4 where it doesn't
    for clip, own in zip(clips, scores, strict=True):
        clip.codes[:, 1] = encode(own.astype(np.float32))
    choice = choose_thresholds(clips, evidence_of(clips), unchanged(3).astype(np.float32))
    other = {entry.column: entry for entry in choice.classes}
    assert choice.on > 0.4 or other[1].on > 0.4
    assert choice.on <= 0.25 or other[0].on <= 0.25
    assert 2 not in other
    assert all(entry.f1_after > entry.f1_before and entry.off <= entry.on for entry in choice.classes)


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
