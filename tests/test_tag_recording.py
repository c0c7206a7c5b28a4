"""Step scores of recordings of any length: complete, in the right place, in flat memory."""

import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fake_scorer import LoudnessScorer

from arwkv_core import load, recording
from arwkv_core.constants import SAMPLE_RATE, STEP_SECONDS
from arwkv_core.context import hop_in_frames
from arwkv_core.embeddings import EmbeddingStream
from arwkv_core.errors import AudioError, CheckpointError, UsageError
from arwkv_core.labels import LabelSet
from arwkv_core.recording import ScoreStream
from arwkv_core.scores import step_edges
from arwkv_core.windows import count_steps


class FakeAudio:
    """What `open_audio` gives, without a file: noise in blocks."""

    header_seconds = None
    invalid_samples = 0
    filled_seconds = 0.0

    def __init__(self, seconds: float, block: int = 16_000) -> None:
        self.total, self.block = round(seconds * SAMPLE_RATE), block
        self.decoded_seconds = 0.0
        self.warnings = ["made up"]
        self.path = "made-up.wav"

    def __enter__(self) -> "FakeAudio":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def __iter__(self) -> Iterator[np.ndarray]:
        noise = np.random.default_rng(0).normal(0, 0.1, self.total).astype(np.float32)
        for start in range(0, self.total, self.block):
            yield noise[start : start + self.block]
        self.decoded_seconds = self.total / SAMPLE_RATE


def stream_of(audio: FakeAudio, monkeypatch: pytest.MonkeyPatch, **options: object) -> ScoreStream:
    monkeypatch.setattr(recording, "open_audio", lambda *_, **__: audio)
    scorer = options.pop("scorer", None) or LoudnessScorer()
    return ScoreStream(scorer, "made-up.wav", **options)


@pytest.mark.parametrize("samples", [800, 801, 1119, 1120, 5600, 32_000, 102_880, 102_881, 123_456, 400_000])
def test_every_step_gets_a_score(samples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = stream_of(FakeAudio(samples / SAMPLE_RATE), monkeypatch)
    scores = np.concatenate(list(stream))
    frames = 1 + (samples - 800) // 320
    assert scores.shape == (count_steps(frames), 3)
    assert scores[:, 2] == pytest.approx(0.5)
    coverage = stream.coverage
    assert coverage.steps == len(scores)
    assert coverage.decoded_seconds == samples / SAMPLE_RATE
    assert 0 <= coverage.decoded_seconds - coverage.analysed_seconds < 0.010001
    assert coverage.header_seconds is None
    assert stream.warnings == ["made up"]
    edges = step_edges(len(scores), coverage.decoded_seconds)
    assert edges[-1] == coverage.decoded_seconds
    assert (np.diff(edges) > 0.0249).all()


def test_the_size_of_blocks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, *others = (
        np.concatenate(list(stream_of(FakeAudio(5.3, block), monkeypatch)))
        for block in (1_000_000, 32_000, 4_777)
    )
    for scores in others:
        np.testing.assert_allclose(scores, whole, atol=1e-6)


def test_windows_reach_the_model_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = LoudnessScorer(window_frames=992)
    list(stream_of(FakeAudio(60), monkeypatch, scorer=scorer))
    assert [shape[:2] for shape in scorer.batches] == [(8, 992), (4, 992)]


class CountingScorer(LoudnessScorer):
    """Notes how many of its calls run at once."""

    def __init__(self, batches_at_once: int | None) -> None:
        super().__init__(window_frames=992)
        if batches_at_once is not None:
            self.batches_at_once = batches_at_once
        self.running = self.most = 0
        self.together = threading.Event()
        self._lock = threading.Lock()

    def scores(self, features: np.ndarray) -> np.ndarray:
        with self._lock:
            self.running += 1
            self.most = max(self.most, self.running)
            if self.running > 1:
                self.together.set()
        self.together.wait(0.5)
        scores = super().scores(features)
        with self._lock:
            self.running -= 1
        return scores


@pytest.mark.parametrize(("at_once", "sizes"), [(None, [8, 4]), (1, [8, 4]), (2, [4, 4, 4])])
def test_batches_are_heard_at_once_where_a_model_asks_for_it(
    at_once: int | None, sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = np.concatenate(list(stream_of(FakeAudio(60), monkeypatch, scorer=LoudnessScorer(992))))
    scorer = CountingScorer(at_once)
    scores = np.concatenate(list(stream_of(FakeAudio(60), monkeypatch, scorer=scorer)))
    assert sorted(shape[0] for shape in scorer.batches) == sorted(sizes)
    assert scorer.most == (at_once or 1)
    assert np.array_equal(scores, plain)


def test_an_error_in_one_of_two_batches_is_the_stream_s(monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(CountingScorer):
        def scores(self, features: np.ndarray) -> np.ndarray:
            if len(self.batches) >= 2:
                raise MemoryError("no more")
            return super().scores(features)

    stream = iter(stream_of(FakeAudio(60), monkeypatch, scorer=Failing(2)))
    with pytest.raises(MemoryError, match="no more"):
        list(stream)


def test_a_model_may_say_how_far_apart_its_windows_are() -> None:
    tagger = load()
    assert tagger.hop_frames == tagger.config.hop_frames == 832
    assert tagger.stream("not-there.wav").hop_frames == 832
    assert tagger.stream("not-there.wav", hop=4.96).hop_frames == 496
    assert tagger.stream("not-there.wav", context=16).hop_frames == 800
    assert EmbeddingStream(tagger, "not-there.wav").provenance["windows"]["hop_frames"] == 496


def test_progress_tells_the_seconds_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[float, float | None]] = []
    scorer = LoudnessScorer(window_frames=992)
    list(stream_of(FakeAudio(60), monkeypatch, scorer=scorer, progress=lambda *s: seen.append(s)))
    assert [round(seconds, 2) for seconds, _ in seen] == [0, 44.64, 59.98]
    assert {header for _, header in seen} == {None}


def test_memory_does_not_grow_with_the_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(FakeAudio):
        def __iter__(self) -> Iterator[np.ndarray]:
            block = np.full(self.block, 0.1, np.float32)
            for _ in range(0, self.total, self.block):
                yield block
            self.decoded_seconds = self.total / SAMPLE_RATE

    class ManyClasses(LoudnessScorer):
        labels = LabelSet([f"/m/{i}" for i in range(1000)], [f"class {i}" for i in range(1000)])

        def scores(self, features: np.ndarray) -> np.ndarray:
            return np.zeros((len(features), count_steps(features.shape[1]), 1000), np.float32)

    def peak(seconds: float) -> int:
        stream = stream_of(Endless(seconds), monkeypatch, scorer=ManyClasses())
        tracemalloc.start()
        for _ in stream:
            pass
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    peak(10)  # what is allocated once
    # four minutes more would hold 12 MB of log-mels, 6 MB of scores; what waits in the thread varies a little
    assert peak(300) < peak(60) + 4_000_000


def test_a_sound_is_found_where_it_is(tmp_path: Path) -> None:
    """Through the real decoder, at another sample rate, in a recording of several windows."""
    rate, start, end = 44_100, 21.37, 21.93
    first, last = round(start * rate), round(end * rate)
    sound = np.zeros(rate * 37, np.float32)
    sound[first:last] = np.random.default_rng(0).normal(0, 0.3, last - first)
    path = tmp_path / "burst.wav"
    soundfile.write(path, sound, rate)
    stream = ScoreStream(LoudnessScorer(), path)
    loud = np.concatenate(list(stream))[:, 0]
    active = np.flatnonzero(loud > 0.5) * STEP_SECONDS
    assert active[0] == pytest.approx(start, abs=STEP_SECONDS)
    assert active[-1] + STEP_SECONDS == pytest.approx(end, abs=STEP_SECONDS)
    assert len(active) == pytest.approx((end - start) / STEP_SECONDS, abs=1)
    assert stream.coverage.header_seconds == pytest.approx(37)


def test_shorter_than_a_frame_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "tick.wav"
    soundfile.write(path, np.zeros(799, np.float32), SAMPLE_RATE)
    with pytest.raises(AudioError, match=r"tick\.wav: .*25 ms"):
        list(ScoreStream(LoudnessScorer(), path))


def test_scores_that_are_no_numbers_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(LoudnessScorer):
        def scores(self, features: np.ndarray) -> np.ndarray:
            return super().scores(features) * np.nan

    with pytest.raises(CheckpointError, match="NaN"):
        list(stream_of(FakeAudio(1), monkeypatch, scorer=Broken()))


@pytest.mark.parametrize(
    ("hop", "window", "frames"),
    [
        (None, 992, 496),
        (None, 16, 16),
        (None, 48, 32),
        (4.96, 992, 496),
        (5, 992, 496),
        (9.92, 992, 992),
        (0.16, 992, 16),
    ],
)
def test_the_hop_is_in_whole_steps(hop: float | None, window: int, frames: int) -> None:
    assert hop_in_frames(hop, window) == frames


@pytest.mark.parametrize("hop", [0, -1, 0.1, 9.93, float("nan"), float("inf")])
def test_a_hop_out_of_range_is_refused(hop: float) -> None:
    with pytest.raises(UsageError, match=r"--hop: expected 0\.16 to 9\.92 seconds"):
        hop_in_frames(hop, 992)


def test_a_stream_that_is_left_early_closes_its_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []

    class Closing(FakeAudio):
        def __exit__(self, *error: object) -> None:
            closed.append(True)

    blocks = iter(stream_of(Closing(30), monkeypatch))
    next(blocks)
    blocks.close()
    assert closed == [True]


@pytest.mark.parametrize("hop", [None, 0.16, 1.28])
@pytest.mark.parametrize("first_step", [1, 5, 19, 20, 21, 60, 74, 75])
def test_going_on_gives_the_rest_of_the_same_scores(
    first_step: int, hop: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole_stream = stream_of(FakeAudio(12.0), monkeypatch, hop=hop)
    whole = np.concatenate(list(whole_stream))
    assert len(whole) == 75
    scorer = LoudnessScorer()
    stream = stream_of(FakeAudio(12.0), monkeypatch, hop=hop, first_step=first_step, scorer=scorer)
    rest = np.concatenate([np.zeros((0, 3), np.float32), *stream])
    assert np.array_equal(rest, whole[first_step:])
    assert stream.coverage == whole_stream.coverage
    if first_step == 75:
        assert scorer.batches == [], "the model was asked for what was known"
