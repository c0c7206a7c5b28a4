"""Sounds of three kinds with labels in all the forms in which people have them, and a tiny model that hears them."""

from pathlib import Path

import numpy as np
import soundfile
import torch
from fake_models import random_model
from small_corpus import RATE, sound

from arwkv_core.architecture import Architecture
from arwkv_core.checkpoint import save_model_folder
from arwkv_core.labels import LabelSet
from arwkv_core.model_config import ModelConfig

KINDS = ("hum", "hiss", "click")


def tiny_model(folder: Path, position: str = "frequency") -> Path:
    """A model of two classes and random weights, whose embeddings tell a hum from a hiss all the same."""
    arch = Architecture(depth=1, width=64, classes=2, position=position, frames=160)  # type: ignore[arg-type]
    config = ModelConfig("tiny", arch, "sigmoid", licence={"weights": "CC0-1.0"})
    labels = LabelSet(["/m/09x0r", "/m/04rlf"], ["Speech", "Music"])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = random_model(arch, torch.float32)
    save_model_folder(folder, model, config, labels, "# Tiny\n", dtype=None)
    return folder


def write_sound(path: Path, kinds: str | list[str], seconds: float, seed: int) -> Path:
    """Write one kind of sound, or several, one after the other, each this long."""
    rng = np.random.default_rng(seed)
    each = [kinds] if isinstance(kinds, str) else kinds
    samples = [sound(KINDS.index(kind), seconds, rng) for kind in each]
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.concatenate(samples), RATE)
    return path


def class_folders(folder: Path, kinds: tuple[str, ...] = KINDS, each: int = 6) -> Path:
    """A folder a class, with files named as those of ESC-50 are: fold-recording-take-class."""
    for number, kind in enumerate(kinds):
        for index in range(each):
            name = f"{index % 3 + 1}-{100 * number + index}-A-{number}.wav"
            write_sound(folder / kind / name, kind, 0.6 + 0.17 * index, 10 * number + index)
    return folder


def label_tracks(folder: Path, recordings: int = 6, format: str = "audacity") -> Path:
    """Recordings of a hum, a hiss and clicks of a second each, of which the first two overlap by their labels."""
    for index in range(recordings):
        order = ["hum", "hiss", "click"]
        write_sound(folder / f"night {index}.wav", order, 1.0, 100 + index)
        rows = [(0.0, 1.25, "hum"), (1.0, 2.0, "hiss")]
        if format == "audacity":
            text = "".join(
                f"{start:.6f}\t{end:.6f}\t{label}\n\\\t100.0\t900.0\n" for start, end, label in rows
            )
        else:
            header = "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tAnnotation"
            text = (
                header
                + "\n"
                + "".join(
                    f"{number}\t{view} 1\t1\t{start}\t{end}\t0\t8000\t{label}\n"
                    for number, (start, end, label) in enumerate(rows, start=1)
                    for view in ("Waveform", "Spectrogram")
                )
            )
        (folder / f"night {index}.txt").write_text(text)
    return folder


def write_csv(path: Path, header: str, *rows: str) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n")
    return path
