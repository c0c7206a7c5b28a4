"""A corpus of which long recordings can be made: sounds between silences, and an ambience."""

import csv
from pathlib import Path

import numpy as np
import soundfile

RATE = 32_000
CLASSES = (("/m/09x0r", "Speech"), ("/m/0bt9lr", "Dog"), ("/m/06mb1", "Rain"), ("/m/0jbk", "Animal"))


def make_ambient_corpus(folder: Path) -> Path:
    """Write six clips, each a second of a tone between two of silence, a noise as ambience, manifest and labels."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    rows = []
    for number in range(6):
        sound = np.zeros(5 * RATE)
        sound[2 * RATE : 3 * RATE] = 0.5 * np.sin(np.arange(RATE) * (0.1 + 0.02 * number))
        soundfile.write(folder / f"{number}.wav", sound, RATE)
        rows.append((f"{number}.wav", "test", "Dog" if number % 2 else "Speech", "made", ""))
    for number in range(2):
        soundfile.write(folder / f"rain{number}.wav", 0.1 * rng.standard_normal(4 * RATE), RATE)
        rows.append((f"rain{number}.wav", "test", "Rain", "some Ambience", "rain.mp3"))
    soundfile.write(folder / "train.wav", np.zeros(RATE), RATE)
    rows.append(("train.wav", "train", "Dog", "made", ""))
    with (folder / "manifest.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("path", "split", "known_labels", "source", "source_file"))
        table.writerows(rows)
    with (folder / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("index", "mid", "display_name"))
        table.writerows((place, mid, name) for place, (mid, name) in enumerate(CLASSES))
    return folder
