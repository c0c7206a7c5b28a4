"""``arwkv calibrate``: from a model and labelled clips to the model's folder with calibration and thresholds."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from arwkv_core.calibration import (
    CALIBRATION_FILE,
    OWN,
    PICTURE_FILE,
    SHARED,
    WEIGHTS_DIGITS,
    Calibration,
    ClassCurve,
)
from arwkv_core.checkpoint import lossless_dtype, save_model_folder
from arwkv_core.errors import UsageError
from arwkv_core.event_defaults import (
    ALL_CLASSES,
    EVENTS_FILE,
    ClassDefaults,
    class_defaults_text,
    read_class_defaults,
)
from arwkv_core.model_config import CARD_FILE
from arwkv_core.score_codec import LEVELS
from arwkv_core.staging import refuse_existing, refuse_unwritable, staged_folder
from arwkv_core.tagger import Tagger, load
from arwkv_core.training.corpus import SPLITS

from .card import with_section
from .evidence import Evidence, hear, judged_classes
from .fit import choose_width, crossed, fit_curves
from .material import MANIFEST, Material, is_corpus, of_corpus, of_sounds
from .picture import draw
from .reliability import Reliability, measure
from .thresholds import Choice, ClassThreshold, choose_thresholds

DIGITS = 4
"""Decimals of slopes and offsets in the file: far finer than what they were fitted to justifies."""


@dataclass(frozen=True)
class CalibrationReport:
    """What was fitted, and how far it can be relied on.

    Attributes
    ----------
    model : str
    folder : Path
        Of the calibrated model.
    split : str
        Empty where nothing said splits, and all were taken.
    clips : int
        Of labelled sounds: stretches throughout which the same is heard, long ones in pieces.
    by_teacher : bool
        Whether there was a teacher; else what no source states counted as absent.
    own, shared_classes : int
        Classes with a curve of their own, and with that of all classes together.
    width : float
        How far classes stray from one another, in logits.
    shared : tuple of float
        Slope and offset of all classes together.
    before, after : Reliability
        Of scores as the network gives them and of calibrated ones, each half of the recordings measured with what
        was fitted to the other.
    on : float
        Probability at which events start.
    f1 : float
        Of all classes together with that, counted in steps.
    thresholds : tuple of dict
        ``mid``, ``name``, ``clips``, ``on``, ``off``, ``f1_before``, ``f1_after``, ``gain`` of classes with their own.
    calibration : str
        Its digest.
    remarks : tuple of str
        What is not wrong with labelled sounds, but should be known.
    """

    model: str
    folder: Path
    split: str
    clips: int
    by_teacher: bool
    own: int
    shared_classes: int
    width: float
    shared: tuple[float, float]
    before: Reliability
    after: Reliability
    on: float
    f1: float
    thresholds: tuple[dict[str, Any], ...]
    calibration: str
    remarks: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            **asdict(self),
            "folder": str(self.folder),
            "before": self.before.to_dict(),
            "after": self.after.to_dict(),
        }


def calibrate(
    model: str | Path,
    data: str | Path,
    *,
    split: str = "valid",
    output: str | Path | None = None,
    labels: str | Path | None = None,
    teacher: str | Path | None = None,
    background: bool = False,
    device: str = "auto",
    precision: str = "auto",
    overwrite: bool = False,
    progress: bool = True,
) -> CalibrationReport:
    """Fit a model's calibration and thresholds to labelled clips, and write them into its folder.

    Parameters
    ----------
    model : str or Path
        As for `arwkv_core.load`.
    data : str or Path
        A corpus as for training (its folder, or the CSV with the columns path, split and known_labels), or labelled
        sounds as for `probe`: a table, a folder with label files, or a folder of folders named after classes.
    split : {"train", "valid", "test"}
        Which clips to fit to: such as the model was not trained on. Sounds of which nothing says a split are all taken.
    output : str or Path, optional
        Folder of the calibrated model. By default the model's own; a bare weight file has none.
    labels, teacher : str or Path, optional
        Of a corpus: ``labels.csv`` (else the model's) and, if there is one, ``teacher_frames.npz`` beside the manifest
        by default.
    background : bool
        Of labelled sounds: where no label covers a recording, none of the classes sounds.
    device, precision : str
        As for `arwkv_core.load`.
    overwrite : bool
        Replace an existing calibration, or an existing ``output``.
    progress : bool
        Show a bar on stderr.

    Returns
    -------
    CalibrationReport

    Raises
    ------
    UsageError
        If there is no place for what is fitted, or nothing to fit to: clips of one recording only, or none in which
        a class of the model sounds.
    DatasetError
        If labelled sounds are not as they should be; it lists all that is wrong.
    ArwkvError
        If the corpus or the model can't be read.
    """
    import arwkv_models  # here, since the zoo imports this package

    if split not in SPLITS:
        raise UsageError(f"--split: expected one of {', '.join(SPLITS)}, found {split!r}")
    place = arwkv_models.locate(model)
    target = _target(place, output, overwrite)
    path = Path(data).expanduser()
    if is_corpus(path):
        _refuse_sounds_option(background, path)
        material = of_corpus(path / MANIFEST if path.is_dir() else path, split, labels, teacher, place)
        tagger = load(model, device, precision)
    else:
        _refuse_corpus_options(labels, teacher, path)
        tagger = load(model, device, precision)
        material = of_sounds(path, split, tagger.labels, background=background)
    judged = judged_classes(tagger, material.corpus, material.clips, by_teacher=material.by_teacher)
    clips = list(hear(tagger, material.corpus, material.clips, material.halves, progress))
    evidence = Evidence.of(clips, judged)
    _refuse_too_little(evidence, material)

    width = choose_width(evidence)
    raw = np.repeat(LEVELS.astype(np.float64)[:, None], len(judged), axis=1)
    before = measure(evidence, [raw, raw])
    after = measure(evidence, [curves.probabilities() for curves in crossed(evidence, width)])
    curves = fit_curves(evidence, (0, 1), width)
    choice = choose_thresholds(clips, evidence, curves.probabilities().astype(np.float32))

    rows = zip(curves.slope, curves.offset, evidence.clips.sum(0), curves.own, strict=True)
    calibration = Calibration(
        {
            mid: ClassCurve(
                round(float(slope), DIGITS),
                round(float(offset), DIGITS),
                int(count),
                OWN if own else SHARED,
            )
            for mid, (slope, offset, count, own) in zip(tagger.labels.mids, rows, strict=True)
        },
        dict(tagger.labels),
        tagger.config.weights_sha256[:WEIGHTS_DIGITS],
    )
    report = CalibrationReport(
        model=tagger.name,
        folder=target,
        split=material.split,
        clips=len(clips),
        by_teacher=material.by_teacher,
        own=int(curves.own.sum()),
        shared_classes=int((~curves.own).sum()),
        width=width,
        shared=curves.shared,
        before=before,
        after=after,
        on=choice.on,
        f1=choice.f1,
        thresholds=tuple(_threshold_record(tagger, entry) for entry in choice.classes),
        calibration=calibration.digest,
        remarks=material.remarks,
    )
    return _write(place, target, tagger, calibration, choice, report)


def _target(place: Path, output: str | Path | None, overwrite: bool) -> Path:
    if output is None:
        if not place.is_dir():
            raise UsageError(
                f"{place}: a bare weight file has no folder for a calibration: --output FOLDER makes one, with the "
                "weights in it"
            )
        if (place / CALIBRATION_FILE).exists() and not overwrite:
            raise UsageError(
                f"{place / CALIBRATION_FILE}: exists already; --overwrite replaces it, --output FOLDER leaves it"
            )
        refuse_unwritable(place, str(place))
        return place
    target = Path(output)
    if target.exists() and not overwrite:
        raise UsageError(f"--output {target}: exists already; --overwrite replaces it")
    try:
        refuse_existing(target, overwrite)
    except UsageError as error:
        raise UsageError(f"--output {error}") from None
    refuse_unwritable(target.absolute().parent, "--output")
    return target


def _refuse_sounds_option(background: bool, path: Path) -> None:
    if background:
        raise UsageError(
            f"--background: is for labelled sounds; {path} is a corpus, where what no source states counts as absent"
        )


def _refuse_corpus_options(labels: str | Path | None, teacher: str | Path | None, path: Path) -> None:
    for option, value in (("--labels", labels), ("--teacher", teacher)):
        if value is not None:
            raise UsageError(
                f"{option} {value}: is for a corpus, a CSV with the columns path, split and known_labels; "
                f"{path} is none"
            )


def _refuse_too_little(evidence: Evidence, material: Material) -> None:
    if len(set(material.halves)) < 2:
        raise UsageError(
            f"{material.source}: expected clips of several recordings (column source_file, else path; of labelled "
            "sounds recording, else file), half of which measure what is fitted to the others, found "
            f"{len(material.halves)} in one half"
        )
    if not evidence.positive.any():
        raise UsageError(
            f"{material.source}: expected clips in which classes of the model sound, found none: neither their sources "
            "nor a teacher say so"
        )


def _threshold_record(tagger: Tagger, entry: ClassThreshold) -> dict[str, Any]:
    own = asdict(entry)
    column = own.pop("column")
    return {"mid": tagger.labels.mids[column], "name": tagger.labels.names[column], **own}


def _write(
    place: Path,
    target: Path,
    tagger: Tagger,
    calibration: Calibration,
    choice: Choice,
    report: CalibrationReport,
) -> CalibrationReport:
    """Write the folder anew, all of it, so that calibration and thresholds change at one moment.

    Returns the report on what was written: the weights of a bare file are another file in a folder.
    """
    import arwkv_models  # here, since the zoo imports this package

    with staged_folder(target, overwrite=True) as filling:
        if place.is_dir():
            shutil.copytree(
                place, filling, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", ".*")
            )
        else:
            card = arwkv_models.bare_card(place, tagger.config, tagger.labels)
            dtype = lossless_dtype(tagger.model)
            saved = save_model_folder(
                filling, tagger.model, tagger.config, tagger.labels, card, dtype=dtype, overwrite=True
            )
            calibration = replace(calibration, weights=saved.weights_sha256[:WEIGHTS_DIGITS])
            report = replace(report, calibration=calibration.digest)
        events = filling / EVENTS_FILE
        text = _events_text(events, tagger, choice)
        events.write_text(text, encoding="utf-8")
        (filling / CALIBRATION_FILE).write_text(calibration.text(), encoding="utf-8")
        (filling / PICTURE_FILE).write_text(
            draw(report.model, report.before.bins, report.after.bins), encoding="utf-8"
        )
        card_file = filling / CARD_FILE
        card = card_file.read_text(encoding="utf-8") if card_file.exists() else f"# {report.model}\n"
        card_file.write_text(with_section(card, report, str(place / CARD_FILE)), encoding="utf-8")
    return report


def _events_text(events: Path, tagger: Tagger, choice: Choice) -> str:
    """Text of ``events.csv`` with the thresholds chosen; what else the file says of classes stays."""
    known = read_class_defaults(events) if events.exists() else {}
    chosen = {tagger.labels.mids[entry.column]: (entry.on, entry.off) for entry in choice.classes}
    found = {ALL_CLASSES: ClassDefaults(on=choice.on)}
    for mid in [*tagger.labels.mids, *(set(known) - set(tagger.labels.mids) - {ALL_CLASSES})]:
        on, off = chosen.get(mid, (None, None))
        own = replace(known.get(mid, ClassDefaults()), on=on, off=off)
        if own != ClassDefaults():
            found[mid] = own
    return class_defaults_text(found, {**dict(tagger.labels), ALL_CLASSES: "all other classes"})
