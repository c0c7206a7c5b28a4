"""From labelled sounds to a model of the user's own classes, in minutes: a new head on a model that is there."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm.auto import tqdm

from arwkv_core.batch import run_batch
from arwkv_core.constants import DEFAULT_MODEL
from arwkv_core.errors import ConfigError
from arwkv_core.labelled.dataset import Dataset, check_within, read_dataset
from arwkv_core.labelled.fold_choice import with_folds
from arwkv_core.labelled.problems import Problems
from arwkv_core.labelled.result import Result
from arwkv_core.labelled.segment import Segment, by_file
from arwkv_core.results import Failure
from arwkv_core.training.own_model import destination

from .card import card_text
from .cross_validation import CrossValidation, Material, cross_validate
from .heard import HeardRecording, HearTask
from .regression import Head, Regression, require_sklearn
from .report import ProbeReport

if TYPE_CHECKING:
    from arwkv_core.model_config import ScoreFunction


def probe(
    data: str | os.PathLike[str],
    name: str,
    *,
    model: str | Path = DEFAULT_MODEL,
    output: str | Path | None = None,
    folds: int | str | None = None,
    background: bool = False,
    score_function: str = "auto",
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
    jobs: int = 1,
    overwrite: bool = False,
    progress: bool = True,
) -> ProbeReport:
    """Fit a logistic regression to a model's embeddings of labelled sounds, and make it that model's new head.

    The options are those of ``arwkv probe``.

    Parameters
    ----------
    data : str or path-like
        Folder of folders named after classes, folder of recordings with label files of Audacity or Raven beside
        them, or CSV with the columns file, label or labels (``;`` between several), and optionally start, end
        (seconds), split (train, valid, test), fold, recording.
    name : str
        Of the model that is made.
    model : str or Path
        Whose embeddings to take; as for `arwkv_core.load`.
    output : str or Path, optional
        Folder to write the model to, instead of adding it to the user's models.
    folds : int, "name" or None
        Parts of the cross-validation that measures the probe and chooses its regularisation; recordings stay whole.
        ``name``: the number at the beginning of each file's name. None: the column ``fold``, or else five.
    background : bool
        What no label covers counts as a sound without labels.
    score_function : {"auto", "sigmoid", "softmax"}
        Auto takes softmax (one class of all) where every sound has one label, else sigmoid (each class by itself).
    seed : int
        Of the folds.
    device, precision : str
        As for `arwkv_core.load`.
    jobs : int
        Hear so many recordings at once.
    overwrite : bool
        Replace a model of this name.
    progress : bool
        Show bars on stderr.

    Returns
    -------
    ProbeReport

    Raises
    ------
    DatasetError
        If sounds or labels are not as they should be; it lists all that is wrong.
    ArwkvError
        If scikit-learn is missing, or model, name or output can't be used.
    """
    version = require_sklearn()
    place = destination(name, output)
    place.check(overwrite=overwrite)
    target = place.folder
    dataset = read_dataset(
        data,
        background=background,
        arrange=lambda segments, problems: with_folds(segments, folds, seed, problems),
    )
    multi_label = _multi_label(dataset, score_function)
    task = HearTask({}, background, model, device, precision)
    pairs = _hear(dataset, task, jobs=jobs, progress=progress)
    material, sources = _material(dataset, pairs, multi_label)
    learnt = [row for row, source in enumerate(sources) if source.split != "test"]
    checked, names = _cross_validate(material, sources, learnt, progress=progress)
    head = Regression(material.examples(learnt), multi_label).fit(checked.strength)
    report = _report(dataset, material, sources, learnt, checked, names, head)
    report = dataclasses.replace(report, name=name, folder=str(target), model=str(model))
    return _write(report, dataset, head, model, target, version, overwrite, len(learnt))


def _multi_label(dataset: Dataset, score_function: str) -> bool:
    if score_function not in ("auto", "sigmoid", "softmax"):
        raise ConfigError(f"--score-function: expected auto, sigmoid or softmax, found {score_function!r}")
    if score_function == "softmax" and dataset.multi_label:
        raise ConfigError(
            f"--score-function softmax: expected one label for every sound of {dataset.source}, found some with "
            "several or none: leave it out"
        )
    return dataset.multi_label or score_function == "sigmoid"


def _hear(
    dataset: Dataset, task: HearTask, *, jobs: int, progress: bool
) -> list[tuple[list[Segment], HeardRecording]]:
    """Hear all recordings; those that can't be heard are told together."""
    files = {str(file): segments for file, segments in by_file(dataset.segments).items()}
    task = dataclasses.replace(task, segments=files)
    problems = Problems(dataset.source)
    pairs = []
    outcomes = run_batch(list(files), task, jobs=min(jobs, len(files)))
    bar = tqdm(outcomes, total=len(files), desc="recordings", unit="file", disable=not progress)
    for (file, segments), outcome in zip(files.items(), bar, strict=True):
        if isinstance(outcome, Failure):
            problems.note(f"{file}: {outcome.reason}")
            continue
        for segment in segments:
            check_within(segment, outcome.seconds, problems)
        pairs.append((segments, outcome))
    problems.raise_any()
    return pairs


def _material(
    dataset: Dataset, pairs: Sequence[tuple[list[Segment], HeardRecording]], multi_label: bool
) -> tuple[Material, list[Segment]]:
    """Stretches of all recordings, and a segment of each one's recording, for its fold and split."""
    heard = [part for _, recording in pairs for part in recording.stretches]
    sources = [segments[0] for segments, recording in pairs for _ in recording.stretches]
    truth = np.zeros((len(heard), len(dataset.labels)), bool)
    for row, part in enumerate(heard):
        truth[row, dataset.rows(part.stretch.labels)] = True
    return Material(heard, truth, multi_label), sources


def _cross_validate(
    material: Material, sources: list[Segment], learnt: list[int], *, progress: bool
) -> tuple[CrossValidation, list[str]]:
    names = sorted({sources[row].fold for row in learnt}, key=lambda name: (len(name), name))
    folds = np.asarray([names.index(sources[row].fold) for row in learnt])
    part = Material([material.heard[row] for row in learnt], material.truth[learnt], material.multi_label)
    return cross_validate(part, folds, progress=progress), names


def _report(
    dataset: Dataset,
    material: Material,
    sources: list[Segment],
    learnt: list[int],
    checked: CrossValidation,
    names: list[str],
    head: Head,
) -> ProbeReport:
    multi_label, labels = material.multi_label, dataset.labels
    truth = material.truth[learnt]
    folds = {}
    for name in names:
        chosen = [place for place, row in enumerate(learnt) if sources[row].fold == name]
        folds[name] = Result.of(checked.scores[chosen], truth[chosen], labels, multi_label=multi_label)
    test = [row for row, source in enumerate(sources) if source.split == "test"]
    tested = None
    if test:
        scores = material.scores(head, test)
        tested = Result.of(scores, material.truth[test], labels, multi_label=multi_label)
    return ProbeReport(
        name="",
        folder="",
        model="",
        score_function="sigmoid" if multi_label else "softmax",
        strength=checked.strength,
        folds=folds,
        cross_validation=Result.of(checked.scores, truth, labels, multi_label=multi_label),
        test=tested,
        remarks=dataset.remarks,
    )


def _write(
    report: ProbeReport,
    dataset: Dataset,
    head: Head,
    model: str | Path,
    target: Path,
    version: str,
    overwrite: bool,
    clips: int,
) -> ProbeReport:
    """Put the head onto the network, and both into a folder."""
    import torch

    from arwkv_core.checkpoint import load_model, save_model_folder
    from arwkv_core.model import ARWKV
    from arwkv_core.model_config import ModelConfig

    backbone, config, _ = load_model(model)
    network = ARWKV(dataclasses.replace(backbone.arch, classes=len(dataset.labels), head_bias=True))
    weights = {key: value for key, value in backbone.state_dict().items() if not key.startswith("head.")}
    weights["head.weight"] = torch.from_numpy(head.weight).float()
    weights["head.bias"] = torch.from_numpy(head.bias).float()
    network.load_state_dict(weights)
    function: ScoreFunction = "sigmoid" if head.multi_label else "softmax"
    metrics = {"cross_validation": dict(report.cross_validation.summary())}
    if report.test is not None:
        metrics["test"] = dict(report.test.summary())
    made = ModelConfig(
        name=report.name,
        architecture=network.arch,
        score_function=function,
        mean=config.mean,
        std=config.std,
        hop_frames=config.hop_frames,
        training={
            "method": "logistic regression on embeddings",
            "model": config.name,
            "model_sha256": config.weights_sha256,
            "clips": clips,
            "strength": report.strength,
            "scikit_learn": version,
        },
        metrics=metrics,
        licence=config.licence,
    )
    report = dataclasses.replace(report, model=config.name)
    save_model_folder(
        target, network, made, dataset.labels, card_text(report, made), dtype=None, overwrite=overwrite
    )
    return report
