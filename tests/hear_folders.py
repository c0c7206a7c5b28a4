"""Folders with tasks of HEAR as hearpreprocess writes them, of sounds that are made for them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from small_corpus import sound

KINDS = ("hum", "hiss", "click")
RATE = 16_000

Labels = Mapping[str, Mapping[str, Any]]


def write_task(
    folder: Path,
    truth: Labels,
    labels: Sequence[object],
    *,
    sounds: Mapping[str, np.ndarray],
    rate: int = RATE,
    **metadata: Any,
) -> Path:
    """Write a task: what is true of each split's files, the vocabulary, the files, and what the task is."""
    folder.mkdir(parents=True)
    entries = {"version": "v1", "sample_duration": 1.0, "download_urls": [], **metadata}
    (folder / "task_metadata.json").write_text(json.dumps(entries, indent=1))
    rows = [f"{index},{label}" for index, label in enumerate(labels)]
    (folder / "labelvocabulary.csv").write_text("\n".join(["idx,label", *rows]) + "\n")
    for split, files in truth.items():
        (folder / f"{split}.json").write_text(json.dumps(files, indent=1))
        (folder / str(rate) / split).mkdir(parents=True)
        for name in files:
            soundfile.write(folder / str(rate) / split / name, sounds[name], rate)
    return folder


def scene_task(folder: Path, *, folds: int = 0, each: int = 4, **changes: Any) -> Path:
    """Hums, hisses and clicks, to be told apart; in train, valid and test or in folds."""
    rng = np.random.default_rng(1)
    names = [f"fold{index:02}" for index in range(folds)] or ["train", "valid", "test"]
    sounds: dict[str, np.ndarray] = {}
    splits: dict[str, dict[str, list[str]]] = {name: {} for name in names}
    for place, split in enumerate(names):
        for index in range(each * len(KINDS)):
            kind = index % len(KINDS)
            name = f"{10 * place + index:03}-{split}.wav"
            sounds[name] = sound(kind, 0.5 + 0.05 * (index % 4), rng)
            splits[split][name] = [KINDS[kind]]
    metadata: dict[str, Any] = {
        "task_name": "kinds",
        "embedding_type": "scene",
        "prediction_type": "multiclass",
        "split_mode": "new_split_kfold" if folds else "trainvaltest",
        "evaluation": ["top1_acc", "mAP", "d_prime", "aucroc"],
    }
    if folds:
        metadata["nfolds"] = folds
        metadata["splits"] = names
    return write_task(folder, splits, KINDS, sounds=sounds, **(metadata | changes))


def multilabel_task(folder: Path, **changes: Any) -> Path:
    """Hum and hiss, one of them, both or none."""
    rng = np.random.default_rng(2)
    sounds: dict[str, np.ndarray] = {}
    splits: dict[str, dict[str, list[str]]] = {}
    for split in ("train", "valid", "test"):
        splits[split] = {}
        for index in range(12):
            present = [kind for bit, kind in enumerate(KINDS[:2]) if index >> bit & 1]
            name = f"{split}-{index}.wav"
            parts = [0.001 * rng.standard_normal(RATE // 2)]
            parts += [sound(KINDS.index(kind), 0.5, rng) for kind in present]
            sounds[name] = np.sum(parts, axis=0)
            splits[split][name] = present
    metadata = {
        "task_name": "mixed",
        "embedding_type": "scene",
        "prediction_type": "multilabel",
        "evaluation": ["mAP", "top1_acc", "lwlrap"],
    }
    return write_task(folder, splits, KINDS[:2], sounds=sounds, **(metadata | changes))


def event_task(folder: Path, *, folds: int = 0, **changes: Any) -> Path:
    """Recordings of a faint noise with hums and hisses of about a second in them."""
    rng = np.random.default_rng(3)
    names = [f"fold{index:02}" for index in range(folds)] or ["train", "valid", "test"]
    sounds: dict[str, np.ndarray] = {}
    splits: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for split in names:
        splits[split] = {}
        for index in range(3):
            name = f"{split}-{index}.wav"
            samples = 0.001 * rng.standard_normal(8 * RATE)
            events = []
            for slot in range(4):
                kind = int(rng.integers(2))
                start, seconds = 2 * slot + rng.uniform(0.1, 0.6), rng.uniform(0.7, 1.2)
                first = round(start * RATE)
                piece = sound(kind, seconds, rng)
                samples[first : first + len(piece)] += piece
                events.append({"label": KINDS[kind], "start": 1000 * start, "end": 1000 * (start + seconds)})
            sounds[name] = samples
            splits[split][name] = events
    metadata: dict[str, Any] = {
        "task_name": "moments",
        "embedding_type": "event",
        "prediction_type": "multilabel",
        "split_mode": "presplit_kfold" if folds else "trainvaltest",
        "evaluation": ["event_onset_200ms_fms", "segment_1s_er"],
        "evaluation_params": {
            "event_postprocessing_grid": {"median_filter_ms": [0, 480], "min_duration": [0, 160]}
        },
    }
    if folds:
        metadata["nfolds"] = folds
    return write_task(folder, splits, KINDS[:2], sounds=sounds, **(metadata | changes))
