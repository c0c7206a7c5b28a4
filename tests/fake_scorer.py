"""A scorer that hears loudness only: what it should say about a recording is known without a network."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from arwkv_core.constants import FRAMES_PER_STEP, SAMPLE_RATE
from arwkv_core.labels import LabelSet
from arwkv_core.windows import count_steps

LABELS = LabelSet(["/m/loud", "/m/quiet", "/m/half"], ["Loud", "Quiet", "Half"])


class LoudnessScorer:
    """Scores of a step: how loud it is, how quiet, and always 0.5."""

    name = "loudness"
    labels = LABELS
    sample_rate = SAMPLE_RATE
    any_length = True

    provenance = {  # noqa: RUF012 - nobody changes it
        "model": {"name": name, "weights_sha256": "", "score_function": "sigmoid", "active_threshold": 0.5},
        "front_end": {"kind": "kaldi-log-mel", "sample_rate": SAMPLE_RATE, "mean": 0.0, "std": 1.0},
    }

    def __init__(self, window_frames: int = 320) -> None:
        self.window_frames = self.longest = window_frames
        self.batches: list[tuple[int, ...]] = []

    def scores(self, features: np.ndarray) -> np.ndarray:
        assert features.ndim == 3
        assert features.shape[1] <= self.longest
        self.batches.append(features.shape)
        return self._hear(features)

    def _hear(self, features: np.ndarray) -> np.ndarray:
        steps = count_steps(features.shape[1])
        edges = range(0, steps * FRAMES_PER_STEP, FRAMES_PER_STEP)
        level = np.stack([features[:, e : e + FRAMES_PER_STEP].mean(axis=(1, 2)) for e in edges], axis=1)
        loud = 1 / (1 + np.exp(-(level + 8) / 2))  # (B, steps); log-mels of silence lie near -16
        return np.stack([loud, 1 - loud, np.full_like(loud, 0.5)], axis=2).astype(np.float32)

    def embed(self, features: np.ndarray) -> np.ndarray:
        return self.scores(features)

    def stream_scores(
        self, blocks: Iterable[np.ndarray], report: Callable[[float], None] | None = None
    ) -> Iterator[np.ndarray]:
        features = np.concatenate(list(blocks))
        self.batches.append((1, *features.shape))
        scores = self._hear(features[None])[0]
        for number, part in enumerate(np.array_split(scores, 4), 1):
            if report is not None:
                report(number / 4)
            yield part

    def stream_embeddings(
        self, blocks: Iterable[np.ndarray], report: Callable[[float], None] | None = None
    ) -> Iterator[np.ndarray]:
        return self.stream_scores(blocks, report)
