"""A corpus that a tiny network learns in seconds: hum, hiss and clicks, and a teacher who is nearly right."""

import csv
from pathlib import Path

import numpy as np
import soundfile

CLASSES = (("/x/hum", "Hum"), ("/x/hiss", "Hiss"), ("/x/click", "Clicks"))
RATE = 16_000

RECIPE = """
name = "small"
seed = 3
[network]
depth = 1
width = 64
[sampling]
seconds = [0.8, 1.6]
until = [0.7, 1.0]
batch = [6, 3]
[augmentation]
gain_db = 3.0
tilt_db = 1.0
band_mask_bins = 4
time_mask_seconds = 0.08
[optimiser]
name = "{optimiser}"
steps = {steps}
warm_up = 3
rate = 3e-3
ema = 0.9
[validation]
every_steps = 10
metric = "known_map"
"""


def sound(kind: int, seconds: float, rng: np.random.Generator) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    if kind == 0:
        return 0.3 * np.sin(2 * np.pi * rng.uniform(90, 200) * time)
    if kind == 1:
        return 0.1 * rng.standard_normal(len(time))
    return 0.5 * (rng.random(len(time)) < 0.001)


def make_corpus(folder: Path, clips: int = 36) -> Path:
    """Write audio, manifest, labels and teacher; every third clip is for validation, a sixth for the test."""
    rng = np.random.default_rng(0)
    (folder / "audio").mkdir(parents=True)
    rows, frames, offsets = [], [], [0]
    for index in range(clips):
        kind = index % 3
        seconds = float(rng.uniform(0.7, 2.5))
        path = f"audio/{index:03}.wav"
        soundfile.write(folder / path, sound(kind, seconds, rng), RATE)
        split = ("train", "train", "train", "valid", "test", "train")[index // 3 % 6]
        known = CLASSES[kind][1] if index % 2 else ""
        rows.append(
            {"path": path, "split": split, "known_labels": known, "source": "made", "source_file": path}
        )
        count = 1 + max(0, int((seconds - 0.975) / 0.48 + 0.999))
        scores = np.full((count, 3), 10, np.uint8)
        scores[:, kind] = 230
        frames.append(scores)
        offsets.append(offsets[-1] + count)
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    with (folder / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["index", "mid", "display_name"])
        table.writerows([place, mid, name] for place, (mid, name) in enumerate(CLASSES))
    np.savez(folder / "teacher_frames.npz", scores=np.concatenate(frames), offsets=np.asarray(offsets))
    return folder


def write_recipe(path: Path, steps: int = 30, optimiser: str = "adamw") -> Path:
    path.write_text(RECIPE.format(steps=steps, optimiser=optimiser))
    return path
