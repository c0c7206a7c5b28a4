"""Embeddings of recordings of any length: complete, in the right place, the mean that is promised, in flat memory."""

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from fake_models import THREE_LABELS, random_model, three_class_config
from fake_scorer import LoudnessScorer
from hypothesis import given, settings
from hypothesis import strategies as st
from test_tag_recording import FakeAudio

import arwkv_core
from arwkv_core import recording
from arwkv_core.constants import SAMPLE_RATE, STEP_SECONDS
from arwkv_core.context import hop_in_frames
from arwkv_core.embeddings import LEVELS, Embeddings, EmbeddingStream
from arwkv_core.errors import AudioError, CheckpointError, UsageError
from arwkv_core.features import log_mel
from arwkv_core.recording import ScoreStream
from arwkv_core.scores import step_edges
from arwkv_core.tagger import Tagger
from arwkv_core.windows import plan_windows


def embeddings_of(audio: FakeAudio, scorer: LoudnessScorer | None = None, **options: object) -> Embeddings:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recording, "open_audio", lambda *_, **__: audio)
        return EmbeddingStream(scorer or LoudnessScorer(), "made-up.wav", **options).collect()


def scores_of(audio: FakeAudio, **options: object) -> np.ndarray:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recording, "open_audio", lambda *_, **__: audio)
        return np.concatenate(list(ScoreStream(LoudnessScorer(), "made-up.wav", **options)))


def small_tagger() -> Tagger:
    config = three_class_config()
    return Tagger(random_model(config.architecture), config, THREE_LABELS)


LENGTHS = st.integers(800, 8 * SAMPLE_RATE)
HOPS = st.sampled_from([None, 0.16, 0.8, 1.28, 3.2])


@settings(max_examples=8, deadline=None)
@given(samples=LENGTHS, block=st.integers(100, 100_000), hop=HOPS)
def test_steps_are_blended_as_scores_are(samples: int, block: int, hop: float | None) -> None:
    seconds = samples / SAMPLE_RATE
    result = embeddings_of(FakeAudio(seconds, block), level="step", hop=hop)
    scores = scores_of(FakeAudio(seconds, 1 << 20), hop=hop)  # the stub's embeddings are its scores
    np.testing.assert_allclose(result.vectors, scores, atol=1e-6)
    edges = step_edges(len(scores), seconds)
    np.testing.assert_allclose(result.starts, edges[:-1], rtol=1e-15)
    np.testing.assert_allclose(result.ends, edges[1:], rtol=1e-15)
    assert result.starts[0] == 0
    assert result.ends[-1] == seconds
    assert (result.starts[1:] == result.ends[:-1]).all()


@settings(max_examples=8, deadline=None)
@given(samples=LENGTHS, block=st.integers(100, 100_000), hop=HOPS)
def test_a_window_is_the_mean_of_its_own_steps(samples: int, block: int, hop: float | None) -> None:
    seconds, scorer = samples / SAMPLE_RATE, LoudnessScorer(320)
    audio = FakeAudio(seconds, block)
    result = embeddings_of(audio, scorer, level="window", hop=hop)
    features = log_mel(np.concatenate(list(FakeAudio(seconds))))
    starts = plan_windows(len(features), 320, hop_in_frames(hop, 320))
    assert result.starts.tolist() == [start / 100 for start in starts]
    assert result.ends[:-1].tolist() == [(start + 320) / 100 for start in starts[:-1]]
    assert result.ends[-1] == seconds
    for start, end, vector in zip(starts, result.ends, result.vectors, strict=True):
        rows = scorer.embed(features[None, start : start + 320])[0]
        lengths = np.diff([*(start / 100 + STEP_SECONDS * np.arange(len(rows))), end])
        np.testing.assert_allclose(vector, np.average(rows, axis=0, weights=lengths), atol=1e-6)


@settings(max_examples=8, deadline=None)
@given(samples=LENGTHS, block=st.integers(100, 100_000), hop=HOPS)
def test_a_recording_is_the_mean_of_its_steps(samples: int, block: int, hop: float | None) -> None:
    seconds = samples / SAMPLE_RATE
    result = embeddings_of(FakeAudio(seconds, block), level="recording", hop=hop)
    steps = embeddings_of(FakeAudio(seconds, 1 << 20), level="step", hop=hop)
    mean = np.average(steps.vectors, axis=0, weights=steps.ends - steps.starts)
    np.testing.assert_allclose(result.vectors, mean[None], atol=1e-6)
    assert (result.starts.tolist(), result.ends.tolist()) == ([0], [seconds])


def test_a_recording_of_one_window_has_the_same_vector_at_both_levels() -> None:
    window, whole = (embeddings_of(FakeAudio(2.345), level=level) for level in ("window", "recording"))
    np.testing.assert_allclose(window.vectors, whole.vectors, rtol=1e-6)
    assert window.ends == whole.ends


def test_the_head_sees_them(tmp_path: Path) -> None:
    """Multiplied with the head's weights, a step's vector gives the step's scores."""
    tagger = small_tagger()
    path = tmp_path / "a.wav"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 100_000), SAMPLE_RATE)
    steps = tagger.embeddings(path, level="step")
    scores = torch.sigmoid(tagger.model.head(torch.from_numpy(steps.vectors)))
    np.testing.assert_allclose(scores.detach(), tagger.step_scores(path).values, atol=1e-5)


def test_a_window_depends_on_nothing_outside_it() -> None:
    """Unlike a mean of blended steps: the window of a long recording is that of the stretch alone."""
    tagger = small_tagger()
    sound = np.random.default_rng(0).normal(0, 0.1, 30 * SAMPLE_RATE).astype(np.float32)
    features = log_mel(sound)
    alone = tagger.embed(features[496:1488])[0].mean(axis=0)
    long = embeddings_of_samples(tagger, sound)
    np.testing.assert_allclose(long.vectors[1], alone, atol=1e-5)


def embeddings_of_samples(tagger: Tagger, samples: np.ndarray, **options: object) -> Embeddings:
    class Given(FakeAudio):
        def __iter__(self) -> Iterator[np.ndarray]:
            yield samples
            self.decoded_seconds = self.total / SAMPLE_RATE

    return embeddings_of(Given(len(samples) / SAMPLE_RATE), tagger, **options)


def test_what_is_said_besides_the_vectors(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros((50_000, 2), np.float32), 44_100)
    tagger = arwkv_core.load()
    result = arwkv_core.embed(path, model=tagger, channel=1)
    assert (result.file, result.model, result.level) == (str(path), "a-rwkv-t-open", "window")
    assert result.weights_sha256 == tagger.config.weights_sha256
    assert len(result.weights_sha256) == 64
    assert result.vectors.shape == (1, tagger.model.arch.width)
    assert result.vectors.dtype == np.float32
    assert result.coverage.decoded_seconds == 50_000 / 44_100 == result.ends[-1]
    assert result.warnings == []
    provenance = EmbeddingStream(tagger, path, channel=1, hop=1.6).provenance
    assert provenance["front_end"]["channel"] == 1
    assert (provenance["windows"]["frames"], provenance["windows"]["hop_frames"]) == (992, 160)
    assert "vectors" not in repr(result), "a notebook would show thousands of numbers"


@pytest.mark.parametrize("level", LEVELS)
def test_memory_does_not_grow_with_the_recording(level: str) -> None:
    class Endless(FakeAudio):
        def __iter__(self) -> Iterator[np.ndarray]:
            block = np.full(self.block, 0.1, np.float32)
            for _ in range(0, self.total, self.block):
                yield block
            self.decoded_seconds = self.total / SAMPLE_RATE

    class Wide(LoudnessScorer):
        def embed(self, features: np.ndarray) -> np.ndarray:
            return np.repeat(super().embed(features), 400, axis=2)

    def peak(seconds: float, patch: pytest.MonkeyPatch) -> int:
        patch.setattr(recording, "open_audio", lambda *_, **__: Endless(seconds))
        stream = EmbeddingStream(Wide(), "made-up.wav", level=level)
        tracemalloc.start()
        for _ in stream:
            pass
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    with pytest.MonkeyPatch.context() as patch:
        peak(10, patch)  # what is allocated once
        # four minutes more would hold 12 MB of log-mels and 7 MB of steps
        assert peak(300, patch) < peak(60, patch) + 4_000_000


@pytest.mark.parametrize("level", LEVELS)
def test_no_numbers_and_too_little_sound_are_errors(level: str, tmp_path: Path) -> None:
    class Broken(LoudnessScorer):
        def embed(self, features: np.ndarray) -> np.ndarray:
            return super().embed(features) * np.nan

    with pytest.raises(CheckpointError, match=r"made-up\.wav: expected embeddings.*NaN.*loudness"):
        embeddings_of(FakeAudio(1), Broken(), level=level)
    with pytest.raises(AudioError, match="25 ms"):
        embeddings_of(FakeAudio(799 / SAMPLE_RATE), level=level)


def test_options_out_of_range_are_refused() -> None:
    with pytest.raises(UsageError, match="--level: expected step, window, recording, found steps"):
        EmbeddingStream(LoudnessScorer(), "a.wav", level="steps")
    with pytest.raises(UsageError, match=r"--hop: expected 0\.16 to 3\.2 seconds"):
        EmbeddingStream(LoudnessScorer(), "a.wav", hop=4)


@pytest.mark.parametrize("level", ["step", "window"])
def test_a_stream_that_is_left_early_closes_its_recording(
    level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = []

    class Closing(FakeAudio):
        def __exit__(self, *error: object) -> None:
            closed.append(True)

    monkeypatch.setattr(recording, "open_audio", lambda *_, **__: Closing(30))
    blocks = iter(EmbeddingStream(LoudnessScorer(), "made-up.wav", level=level))
    next(blocks)
    blocks.close()
    assert closed == [True]


def test_a_model_that_takes_any_length_hears_all_at_once() -> None:
    """One window then: the vectors of a window and of the recording are one, and steps are not blended."""
    tagger = small_tagger()
    sound = np.random.default_rng(0).normal(0, 0.1, 25 * SAMPLE_RATE + 123).astype(np.float32)
    steps, window, whole = (
        embeddings_of_samples(tagger, sound, level=level, context="full") for level in LEVELS
    )
    np.testing.assert_allclose(steps.vectors, tagger.embed(log_mel(sound))[0], atol=2e-5)
    np.testing.assert_allclose(window.vectors, whole.vectors, rtol=1e-6)
    assert (window.starts, window.ends) == (whole.starts, whole.ends) == ([0], [25 + 123 / SAMPLE_RATE])
    longer = embeddings_of_samples(tagger, sound, level="window", context=16)
    assert longer.starts.tolist() == [0, 8, 8.98]


def test_progress_tells_the_seconds_heard() -> None:
    seen: list[tuple[float, float | None]] = []
    embeddings_of(FakeAudio(60), LoudnessScorer(992), progress=lambda *s: seen.append(s))
    assert [round(seconds, 2) for seconds, _ in seen] == [0, 44.64, 59.98]
