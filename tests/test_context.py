"""Windows of any length, and the whole recording as one."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from fake_models import PUBLISHED, THREE_CLASSES, THREE_LABELS, random_model, three_class_config
from fake_scorer import LoudnessScorer

from arwkv_core.constants import SAMPLE_RATE
from arwkv_core.context import context_in_frames, hop_in_frames
from arwkv_core.errors import AudioError, CheckpointError, ContextError, FeatureError, UsageError
from arwkv_core.features import log_mel
from arwkv_core.labels import LabelSet
from arwkv_core.model_config import ModelConfig
from arwkv_core.model_scorer import LONGEST_AT_ONCE
from arwkv_core.recording import ScoreStream
from arwkv_core.score_file import StoredScores
from arwkv_core.score_store import scored
from arwkv_core.tagger import Tagger
from arwkv_core.windows import Span


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    return Tagger(random_model(THREE_CLASSES), three_class_config(), THREE_LABELS)


def noise(samples: int) -> np.ndarray:
    """Noise that grows louder."""
    sound = np.random.default_rng(samples).normal(0, 0.05, samples).astype(np.float32)
    return sound * np.linspace(0.01, 3, samples, dtype=np.float32)


def recording(folder: Path, samples: int) -> Path:
    path = folder / f"{samples}.wav"
    soundfile.write(path, noise(samples), SAMPLE_RATE, subtype="FLOAT")
    return path


def features(frames: int, batch: int = 1) -> np.ndarray:
    return np.random.default_rng(frames).normal(-5, 3, (batch, frames, 128)).astype(np.float32)


def network(tagger: Tagger, log_mels: np.ndarray) -> np.ndarray:
    """The scores of the plain network, the last frame repeated to the end of its step."""
    padded = np.pad(log_mels, ((0, 0), (0, -log_mels.shape[1] % 16), (0, 0)), mode="edge")
    fbank = (torch.from_numpy(padded)[:, None] - tagger.config.mean) / tagger.config.std
    with torch.no_grad():
        return torch.sigmoid(tagger.model.step_logits(fbank)).numpy()


@pytest.mark.parametrize(
    ("context", "frames"),
    [
        (None, 992),
        ("full", None),
        (60, 6000),
        ("60", 6000),
        (60.05, 6000),
        ("9.92", 992),
        (0.16, 16),
        (3, 304),
        (1e6, 100_000_000),
    ],
)
def test_a_context_is_whole_steps(context: float | str | None, frames: int | None) -> None:
    assert context_in_frames(context, 992, any_length=True, model="m") == frames


@pytest.mark.parametrize("context", [0, -1, 0.1, 1e7, float("nan"), "inf", "", "FULL", "1 min"])
def test_a_context_out_of_range_is_refused(context: float | str) -> None:
    with pytest.raises(UsageError, match=r"--context: expected 0\.16 to 1000000 seconds, or full .*, found"):
        context_in_frames(context, 992, any_length=True, model="m")


@pytest.mark.parametrize("context", [5, 9.92, 60, "full"])
def test_a_table_of_positions_takes_its_own_window_only(context: float | str) -> None:
    config = ModelConfig(name="published", architecture=PUBLISHED, score_function="softmax")
    published = Tagger(random_model(PUBLISHED), config, LabelSet.audioset())
    with pytest.raises(UsageError, match=r"--context: .*published has learned a table .* 9\.92 seconds"):
        published.tag("not-there.wav", context=context)


def test_one_window_has_no_hop() -> None:
    assert hop_in_frames(None, None) is None
    with pytest.raises(UsageError, match="--hop: expected none with --context full"):
        ScoreStream(LoudnessScorer(), "not-there.wav", context="full", hop=5)
    with pytest.raises(UsageError, match=r"--hop: expected 0\.16 to 16 seconds"):
        ScoreStream(LoudnessScorer(), "not-there.wav", context=16, hop=17)


def test_windows_are_as_long_as_the_context_and_half_apart(tmp_path: Path) -> None:
    scorer = LoudnessScorer()
    scorer.longest = 1600
    stream = ScoreStream(scorer, recording(tmp_path, 60 * SAMPLE_RATE), context=16)
    assert (stream.window_frames, stream.hop_frames) == (1600, 800)
    assert len(np.concatenate(list(stream))) == stream.coverage.steps == 375
    assert [shape[:2] for shape in scorer.batches] == [(4, 1600), (3, 1600)]


@pytest.mark.parametrize("samples", [800, 801, 1119, 5600, 32_000, 102_881, 400_000])
def test_the_whole_recording_is_heard_once(samples: int, tmp_path: Path) -> None:
    scorer, path = LoudnessScorer(), recording(tmp_path, samples)
    stream = ScoreStream(scorer, path, context="full")
    scores = np.concatenate(list(stream))
    log_mels = log_mel(noise(samples))
    np.testing.assert_allclose(scores, scorer._hear(log_mels[None])[0], atol=1e-6)
    assert scorer.batches == [(1, *log_mels.shape)]
    assert (stream.window_frames, stream.hop_frames) == (None, None)
    coverage = stream.coverage
    assert (coverage.steps, coverage.decoded_seconds) == (len(scores), samples / SAMPLE_RATE)
    assert 0 <= coverage.decoded_seconds - coverage.analysed_seconds < 0.010001
    ((span, rows),) = ScoreStream(LoudnessScorer(), path, context="full").windows()
    assert span == Span(0, len(log_mels))
    assert np.array_equal(rows, scores)
    for first in {0, len(scores) // 3, len(scores) - 1}:
        rest = [*ScoreStream(LoudnessScorer(), path, context="full", first_step=first)]
        assert np.array_equal(np.concatenate([scores[:first], *rest]), scores)


def test_progress_rises_from_nothing_to_the_end(tmp_path: Path) -> None:
    seen: list[tuple[float, float | None]] = []
    path = recording(tmp_path, 10 * SAMPLE_RATE)
    list(ScoreStream(LoudnessScorer(), path, context="full", progress=lambda *s: seen.append(s)))
    seconds = [done for done, _ in seen]
    assert seconds == sorted(seconds)
    assert seconds[0] == 0
    assert seconds[-1] == pytest.approx(9.98)
    assert {total for _, total in seen} == {10}


def test_what_is_wrong_is_said_as_with_windows(tmp_path: Path) -> None:
    class Broken(LoudnessScorer):
        def stream_scores(self, *arguments: object) -> object:
            return (rows * np.nan for rows in super().stream_scores(*arguments))

    with pytest.raises(CheckpointError, match=r"32000\.wav: .*NaN"):
        list(ScoreStream(Broken(), recording(tmp_path, 32_000), context="full"))
    with pytest.raises(AudioError, match=r"799\.wav: .*25 ms"):
        list(ScoreStream(LoudnessScorer(), recording(tmp_path, 799), context="full"))


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 7 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_too_little_memory_is_an_error_with_a_way_out(error: Exception, tmp_path: Path) -> None:
    class Large(LoudnessScorer):
        def scores(self, log_mels: np.ndarray) -> np.ndarray:
            raise error

        def stream_scores(self, *arguments: object) -> object:
            raise error

    path = recording(tmp_path, 320_000)
    for context in ("full", 1000):
        with pytest.raises(ContextError, match=r"320000\.wav: .*memory.*smaller --context"):
            list(ScoreStream(Large(), path, context=context))
    with pytest.raises(type(error)):
        list(ScoreStream(Large(), path))


@pytest.mark.parametrize("seconds", [0.025, 0.2, 5, 43.21])
def test_full_context_is_the_network_over_the_whole_recording(
    seconds: float, tagger: Tagger, tmp_path: Path
) -> None:
    samples = round(seconds * SAMPLE_RATE)
    path = recording(tmp_path, samples)
    expected = network(tagger, log_mel(noise(samples))[None])[0]
    full = tagger.step_scores(path, context="full")
    np.testing.assert_allclose(full.values, expected, atol=1e-5)
    longer = tagger.step_scores(path, context=100)  # one window, since the recording is shorter
    np.testing.assert_allclose(longer.values, expected, atol=1e-5)


@pytest.mark.parametrize("frames", [LONGEST_AT_ONCE, LONGEST_AT_ONCE + 1, 2 * LONGEST_AT_ONCE + 700])
def test_long_windows_are_the_network_too(frames: int, tagger: Tagger) -> None:
    batch = features(frames, 2)
    scores = tagger.scores(batch)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, network(tagger, batch), atol=1e-5)
    embeddings = tagger.embed(batch)
    whole = np.concatenate(list(tagger.stream_embeddings(np.array_split(batch[1], 7))))
    np.testing.assert_allclose(whole, embeddings[1], atol=1e-4)


def test_streamed_scores_refuse_what_scores_refuse(tagger: Tagger) -> None:
    with pytest.raises(FeatureError, match="at least one frame, found none"):
        list(tagger.stream_scores([]))
    with pytest.raises(FeatureError, match=r"expected \(frames, 128\)"):
        list(tagger.stream_scores([np.zeros((10, 64), np.float32)]))


def test_the_context_reaches_the_result_and_the_store(tagger: Tagger, tmp_path: Path) -> None:
    path, kept = recording(tmp_path, 40 * SAMPLE_RATE), tmp_path / "x.scores.parquet"
    results = {context: tagger.tag(path, context=context) for context in (None, 5, 16, "full")}
    assert len({result.tags[0].mean for result in results.values()}) == 4
    windows_of = {"full": (None, None), 16: (1600, 800), None: (992, 496)}  # frames, and frames of a hop
    for context, (frames, hop) in windows_of.items():
        scores = np.concatenate(list(scored(tagger, str(path), kept=kept, context=context)))
        windows = StoredScores(kept).meta["windows"]
        assert windows["frames"] == frames
        assert windows["hop_frames"] == hop
        expected = tagger.step_scores(path, context=context).values
        np.testing.assert_allclose(scores, expected, atol=0.01)
        (again,) = [scored(tagger, str(path), kept=kept, context=context)]
        assert isinstance(again, StoredScores)


def test_memory_is_three_arrays_of_tokens_by_width() -> None:
    """Half an hour with width 192: 69 MB an array; its log-mels alone would be 92 MB."""
    program = """
import resource
import numpy as np
from arwkv_core.architecture import Architecture
from arwkv_core.labels import LabelSet
from arwkv_core.model import ARWKV
from arwkv_core.model_config import ModelConfig
from arwkv_core.tagger import Tagger

arch = Architecture(depth=2, width=192, classes=10, position="frequency")
labels = LabelSet([f"own:{i}" for i in range(10)], [f"class {i}" for i in range(10)])
tagger = Tagger(ARWKV(arch), ModelConfig("wide", arch, "sigmoid"), labels)
random = np.random.default_rng(0)
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
run = lambda blocks: sum(map(len, tagger.stream_scores(random.normal(-5, 3, (100, 128)) for _ in range(blocks))))
run(100)
before = peak()
assert run(1800) == 11250
print(peak() - before)
"""
    if sys.platform != "linux":
        pytest.skip("the peak is counted in other units")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    arrays = 3 * 11250 * 8 * 192 * 4 / 1e6
    assert int(done.stdout) * 1024 / 1e6 < arrays + 50
