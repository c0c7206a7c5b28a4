"""What a calibration is fitted to: clips of a corpus, or labelled sounds of the user's own."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from arwkv_core.audio import open_audio
from arwkv_core.constants import SAMPLE_RATE
from arwkv_core.errors import ArwkvError, DatasetError, UsageError
from arwkv_core.features import require_one_frame
from arwkv_core.labelled.dataset import Dataset, read_dataset
from arwkv_core.labelled.folds import assign_folds
from arwkv_core.labelled.problems import Problems
from arwkv_core.labelled.segment import Segment
from arwkv_core.labels import LabelSet
from arwkv_core.model_config import LABELS_FILE
from arwkv_core.training.corpus import COLUMNS, Corpus
from arwkv_core.training.own_corpus import corpus_of

from .evidence import half_of

LONGEST_SECONDS = 10.0
"""Of a piece of a labelled sound: all pieces weigh the same, and a long one must not count as little as a short one."""

MANIFEST, TEACHER = "manifest.csv", "teacher_frames.npz"


@dataclass(frozen=True)
class Material:
    """Clips of which is known what sounds in them.

    Attributes
    ----------
    corpus : Corpus
    clips : list of int
        Which of the corpus' clips are fitted to.
    halves : list of {0, 1}
        Of each clip: what is fitted to one half is measured on the other. Clips of one recording are in one half.
    source : str
        Where they come from, for messages.
    split : str
        Empty where nothing says a split, and all are taken.
    by_teacher : bool
        Whether a teacher says what sounds beside what is known; else that counts as absent.
    remarks : tuple of str
        What is not wrong, but should be known.
    """

    corpus: Corpus
    clips: list[int]
    halves: list[int]
    source: str
    split: str
    by_teacher: bool
    remarks: tuple[str, ...] = ()


def of_corpus(
    manifest: Path, split: str, labels: str | Path | None, teacher: str | Path | None, model: Path
) -> Material:
    """Take the clips of a corpus' split.

    Parameters
    ----------
    manifest : Path
    split : {"train", "valid", "test"}
    labels, teacher : str or Path, optional
        By default what lies beside the manifest.
    model : Path
        Its folder, whose classes the corpus has if it has no list of its own.

    Raises
    ------
    ArwkvError
        If the corpus or a clip can't be read; of clips, it lists all of them.
    """
    folder = manifest.parent
    if teacher is None and (folder / TEACHER).exists():
        teacher = folder / TEACHER
    corpus = Corpus.read(manifest, labels or _labels_beside(folder, model), teacher)
    clips = corpus.split(split)
    _refuse_unreadable(corpus, clips)
    halves = [half_of(corpus, clip) for clip in clips]
    return Material(corpus, clips, halves, f"{manifest}, split {split}", split, teacher is not None)


def of_sounds(data: Path, split: str, model_labels: LabelSet, *, background: bool) -> Material:
    """Take labelled sounds, those of a split where something says splits.

    Parameters
    ----------
    data : Path
        As for `read_dataset`.
    split : {"train", "valid", "test"}
    model_labels : LabelSet
        Among them must be the sounds' own.
    background : bool
        What no label covers counts as a sound without labels.

    Raises
    ------
    DatasetError
        If something is wrong; it lists all that is.
    """

    def arrange(segments: list[Segment], problems: Problems) -> list[Segment]:
        chosen = [each for each in segments if each.split == split]
        if not chosen and any(each.split for each in segments):
            there = ", ".join(sorted({each.split for each in segments}))
            problems.add(str(data), f"sounds of the split {split}", f"none: there are {there} (--split)")
        return chosen or segments

    dataset = _with_classes_of(
        model_labels, read_dataset(data, background=background, arrange=arrange, measure=True, learn=False)
    )
    said = {segment.split for segment in dataset.segments} - {""}
    corpus = corpus_of(dataset, dataset.labels, LONGEST_SECONDS, in_silence=False)
    group = {segment.file: segment.group for segment in dataset.segments}
    names: dict[str, list[str]] = {}
    for clip in corpus.clips:
        names.setdefault(group[clip.path], []).extend(dataset.labels.names[known] for known in clip.known)
    half = assign_folds(names, 2)
    halves = [half[group[clip.path]] for clip in corpus.clips]
    clips = list(range(len(corpus.clips)))
    return Material(corpus, clips, halves, str(data), split if said else "", False, dataset.remarks)


def is_corpus(data: Path) -> bool:
    """Whether a CSV has the columns of a corpus' manifest; a folder counts by the manifest in it."""
    if data.is_dir():
        data = data / MANIFEST
        if not data.is_file():
            return False
    try:
        with data.open(newline="", encoding="utf-8-sig") as file:
            header = next(csv.reader(file), [])
    except (OSError, UnicodeDecodeError, csv.Error):
        return not data.exists()  # it is said to be missing as what it was meant to be
    return any(name in header for name in set(COLUMNS) - {"split"})


def _labels_beside(folder: Path, model: Path) -> Path:
    """The classes of a corpus: its own, or those of the model, which whoever trained it on own sounds means."""
    beside, own = folder / LABELS_FILE, model / LABELS_FILE
    if not beside.exists() and not own.exists():
        raise UsageError(f"{beside}: there is no such file; --labels names the classes of the corpus")
    return beside if beside.exists() else own


def _refuse_unreadable(corpus: Corpus, clips: Sequence[int]) -> None:
    """Refuse clips that can't be heard, all at once and before any is."""
    missing, others = [], []
    for clip in clips:
        path = corpus.clips[clip].path
        try:
            with open_audio(path) as audio:
                if audio.header_seconds is not None and not audio.header_is_estimate:
                    require_one_frame(round(audio.header_seconds * SAMPLE_RATE), path)
        except ArwkvError as error:
            if path.is_file():
                others.append(str(error))
            else:
                missing.append(str(path))
    lines = [f"expected {len(clips)} clips, of these there is no file:", *missing] if missing else []
    lines += [f"expected {len(clips)} clips, of these can't be heard:", *others] if others else []
    if lines:
        raise UsageError("\n  ".join(lines))


def _with_classes_of(labels: LabelSet, dataset: Dataset) -> Dataset:
    """Give the sounds' classes the model's ids: those of the same id, else of the same name.

    Labels that are no classes of the model are refused: whoever misspells one would calibrate another.
    """
    by_id, by_name = set(labels.mids), {name.casefold(): mid for mid, name in labels}
    found = {name: mid if mid in by_id else by_name.get(name.casefold()) for mid, name in dataset.labels}
    mids = [mid for mid in found.values() if mid is not None]
    if len(mids) < len(found):
        unknown = ", ".join(repr(name) for name, mid in found.items() if mid is None)
        raise DatasetError(
            f"{dataset.source}: expected classes of the model, found others: {unknown}; mend their names "
            f"({LABELS_FILE} in the model's folder lists its own), or leave those sounds away"
        )
    return replace(dataset, labels=LabelSet(mids, list(found), source=dataset.source))
