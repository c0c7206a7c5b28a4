"""What the network is shown: cuts, targets, mixing, masks."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from small_corpus import make_corpus, write_recipe

from arwkv_core.training.batches import Batch, BatchMaker, sampling_weights
from arwkv_core.training.corpus import Corpus
from arwkv_core.training.mel_store import MelStore, open_mel_store
from arwkv_core.training.mixing import mix
from arwkv_core.training.optimiser import Muon, make_optimisers, orthogonalise, set_rates
from arwkv_core.training.precision import takes_bfloat16
from arwkv_core.training.recipe import MixingTable, OptimiserTable, Recipe
from arwkv_core.training.run import RECIPES, find_recipe
from arwkv_core.training.student import Student, set_prior_
from arwkv_core.training.targets import audible_steps, teacher_weights
from arwkv_core.training.whitening import whiten_embedding_


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def corpus(folder: Path) -> Corpus:
    return Corpus.read(folder / "manifest.csv", folder / "labels.csv", folder / "teacher_frames.npz")


@pytest.fixture(scope="module")
def mels(folder: Path, corpus: Corpus) -> MelStore:
    return open_mel_store([clip.path for clip in corpus.clips], folder / "cache", progress=False)


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    return Recipe.read(write_recipe(tmp_path / "small.toml"))


def test_the_store_is_made_once_and_follows_its_files(folder: Path, corpus: Corpus, mels: MelStore) -> None:
    paths = [clip.path for clip in corpus.clips]
    made = sorted((folder / "cache").iterdir())
    again = open_mel_store(paths, folder / "cache", progress=False)
    assert sorted((folder / "cache").iterdir()) == made
    np.testing.assert_array_equal(again[5], mels[5])
    open_mel_store(paths[:3], folder / "cache", progress=False)
    assert len(list((folder / "cache").iterdir())) == len(made) + 2


def test_a_batch_depends_on_seed_and_step_alone(recipe: Recipe, corpus: Corpus, mels: MelStore) -> None:
    maker, other = BatchMaker(recipe, corpus, mels), BatchMaker(recipe, corpus, mels)
    other(0)  # another history
    for step in (0, 7, 25):
        one, two = maker(step), other(step)
        np.testing.assert_array_equal(one.fbank, two.fbank)
        np.testing.assert_array_equal(one.steps, two.steps)
    assert not np.array_equal(maker(1).fbank, maker(2).fbank)
    reseeded = BatchMaker(dataclasses.replace(recipe, seed=99), corpus, mels)
    assert not np.array_equal(maker(1).fbank, reseeded(1).fbank)


def test_stages_change_length_and_size(recipe: Recipe, corpus: Corpus, mels: MelStore) -> None:
    maker = BatchMaker(recipe, corpus, mels)
    assert maker(0).fbank.shape == (6, 80, 128)
    assert maker(0).steps.shape == (6, 5, 3)
    assert maker(29).fbank.shape == (3, 160, 128)
    assert np.isfinite(maker(29).fbank).all()


def test_targets_follow_teacher_and_known_labels(recipe: Recipe, corpus: Corpus, mels: MelStore) -> None:
    plain = dataclasses.replace(recipe, mixing=MixingTable(kind="none"))
    batch = BatchMaker(plain, corpus, mels)(0)
    assert batch.steps.max() == 1  # known
    stated = np.float32([10 / 255, 230 / 255, 1])  # the teacher's two scores, and what is known
    assert np.isclose(batch.steps[..., None], stated).any(-1).all(), np.unique(batch.steps)
    np.testing.assert_array_equal(batch.clips, batch.steps.max(1))


def test_only_training_clips_are_drawn(recipe: Recipe, corpus: Corpus, mels: MelStore) -> None:
    maker = BatchMaker(recipe, corpus, mels)
    assert {corpus.clips[i].split for i in maker.indices} == {"train"}
    weights = sampling_weights(corpus, maker.indices, 0.5)
    assert weights.sum() == pytest.approx(1)
    assert (weights > 0).all()
    np.testing.assert_allclose(sampling_weights(corpus, maker.indices, 0.0), 1 / len(weights))


def test_steps_are_placed_between_the_teachers_centres() -> None:
    # frames at 0.4875 s, 0.9675 s and, flush with the end at 2.0 s, 1.5125 s; steps at 0.08, 0.24, ...
    before, after, share = teacher_weights(3, 2.0, 0, 12)
    place = before + share * (after - before)
    expected = np.interp((np.arange(12) + 0.5) * 0.16, [0.4875, 0.9675, 1.5125], [0, 1, 2])
    np.testing.assert_allclose(place, expected, atol=1e-6)
    assert place[0] == 0
    assert place[-1] == 2
    shifted, _, _ = teacher_weights(3, 2.0, 100, 1)
    assert shifted[0] == 1  # a cut that begins at 1 s
    assert [list(part) for part in teacher_weights(1, 0.5, 0, 2)] == [[0, 0], [0, 0], [0, 0]]


def test_a_known_class_is_not_claimed_in_the_gaps() -> None:
    mels = np.full((96, 128), -14, np.float16)
    mels[32:48] = 0
    assert audible_steps(mels, 0, 6).tolist() == [False, False, True, False, False, False]
    assert audible_steps(mels, 40, 2).tolist() == [True, False]
    assert audible_steps(mels, 80, 4).tolist() == [False] * 4  # past the end


def batch_of(fbank: float, target: float) -> Batch:
    shape = (2, 16, 128)
    steps = np.full((2, 1, 3), target, np.float32)
    return Batch(np.full(shape, fbank, np.float32), steps, steps.max(1), None, np.ones((2, 1), bool))


def test_power_mixing_adds_energies_and_unites_targets() -> None:
    table = MixingTable(kind="power", probability=1.0, level_db=0.0)
    asked = []

    def more(rows: np.ndarray) -> Batch:
        asked.append(rows.tolist())
        return batch_of(np.log(3.0), 0.2)

    mixed = mix(np.random.default_rng(0), batch_of(np.log(2.0), 0.5), more, table)
    assert asked == [[0, 1]]
    np.testing.assert_allclose(mixed.fbank, np.log(5.0), rtol=1e-6)
    np.testing.assert_allclose(mixed.steps, 0.6, rtol=1e-6)
    assert not mixed.pure.any()


def test_power_mixing_touches_only_its_share() -> None:
    table = MixingTable(kind="power", probability=0.25, level_db=6.0)
    rng = np.random.default_rng(0)
    fbank = rng.uniform(-15, 5, (64, 16, 128)).astype(np.float32)
    steps = rng.random((64, 1, 3)).astype(np.float32)
    kept = Batch(fbank.copy(), steps.copy(), steps.max(1), None, np.ones((64, 1), bool))
    other = np.float32(-3)

    def more(rows: np.ndarray) -> Batch:
        full = np.full((len(rows), 16, 128), other)
        return Batch(full, steps[rows], steps[rows].max(1), None, np.zeros((len(rows), 1), bool))

    mixed = mix(np.random.default_rng(1), kept, more, table)
    touched = ~mixed.pure[:, 0]
    assert 4 <= touched.sum() <= 28
    np.testing.assert_array_equal(mixed.fbank[~touched], fbank[~touched])
    np.testing.assert_array_equal(mixed.steps[~touched], steps[~touched])
    gain = np.logaddexp(fbank[touched], other) - mixed.fbank[touched]
    assert np.abs(gain).max() <= 6 / 4.342, "beyond the level"
    loud = fbank[touched] > other + 17  # nothing is heard beside these
    np.testing.assert_allclose(mixed.fbank[touched][loud], fbank[touched][loud], atol=1e-6)


@pytest.mark.parametrize("cutmix_share", [0.0, 1.0])
def test_published_mixing_keeps_the_mean_target(cutmix_share: float) -> None:
    table = MixingTable(kind="beta", probability=1.0, cutmix_share=cutmix_share)
    batch = batch_of(0.0, 0.0)
    batch.fbank[1], batch.steps[1], batch.clips[1] = 1, 1, 1
    for seed in range(20):
        copy = Batch(batch.fbank.copy(), batch.steps.copy(), batch.clips.copy(), None, batch.pure.copy())
        mixed = mix(np.random.default_rng(seed), copy, lambda rows: pytest.fail("asked for more"), table)
        np.testing.assert_allclose(mixed.clips[0] + mixed.clips[1], 1, atol=1e-6)
        # the share of the partner's frames is the partner's share of the target
        np.testing.assert_allclose(mixed.fbank[0].mean(), mixed.clips[0, 0], atol=1e-5)


def test_orthogonalised_matrices_have_singular_values_near_one() -> None:
    generator = torch.Generator().manual_seed(0)
    for shape in ((3, 32, 32), (2, 16, 64), (2, 64, 16)):
        values = torch.linalg.svdvals(orthogonalise(torch.randn(shape, generator=generator)))
        assert values.min() > 0.3, shape
        assert values.max() < 1.4, shape
        assert values.mean() > 0.7, shape


def test_orthogonalising_in_bfloat16_changes_little() -> None:
    generator = torch.Generator().manual_seed(0)
    for shape in ((3, 64, 64), (2, 64, 256), (2, 256, 64)):
        matrices = torch.randn(shape, generator=generator)
        exact = orthogonalise(matrices)
        found = orthogonalise(matrices, torch.bfloat16)
        assert found.dtype == torch.float32
        assert (found - exact).norm() <= 0.02 * exact.norm()


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "auto"])
def test_muon_computes_in_the_precision_of_the_recipe(precision: str) -> None:
    module = torch.nn.ModuleDict({"blocks": torch.nn.ModuleDict({"key": torch.nn.Linear(8, 8)})})
    table = OptimiserTable(name="muon", precision=precision)
    _, muon = make_optimisers(module, table)
    assert isinstance(muon, Muon)
    fast = takes_bfloat16(torch.device("cpu"), precision)
    assert muon.dtype == (torch.bfloat16 if fast else torch.float32)
    if precision != "auto":
        assert fast == (precision == "bfloat16")


def test_freed_memory_is_kept_where_the_c_library_can() -> None:
    program = """
import resource, sys
import torch
from arwkv_core.allocator import keep_freed_memory
if not keep_freed_memory():
    sys.exit("another C library")
for _ in range(10):
    torch.ones(1 << 22)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(40):
    torch.ones(1 << 22)  # 4096 pages
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    if "another C library" in done.stderr:
        pytest.skip("mallopt is glibc's")
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 40 * 4096 / 4, "the kernel was asked for memory again and again"


def test_every_parameter_has_one_optimiser(recipe: Recipe) -> None:
    for name in ("adamw", "muon"):
        table = dataclasses.replace(recipe.optimiser, name=name)
        student = Student(recipe, 3, embedding_width=8)
        optimisers = make_optimisers(student, table)
        held = [id(p) for o in optimisers for g in o.param_groups for p in g["params"]]
        assert sorted(held) == sorted(id(p) for p in student.parameters())
        factors = [set_rates(optimisers, step, table) for step in range(table.steps)]
        assert np.argmax(factors) in (table.warm_up - 1, table.warm_up)
        assert max(factors) == 1
        assert optimisers[0].param_groups[0]["lr"] == pytest.approx(table.rate * factors[-1])


def test_the_prior_is_what_an_untrained_head_says(recipe: Recipe) -> None:
    network = Student(recipe, 3).network
    frequency = np.array([0.5, 0.01, 0.2])
    set_prior_(network, frequency)
    with torch.no_grad():
        level = torch.sigmoid(network.head(network.ln_out.bias))
    np.testing.assert_allclose(level, frequency, rtol=1e-4)


def test_whitening_makes_channels_equally_loud(recipe: Recipe) -> None:
    network = Student(recipe, 3).network
    rng = np.random.default_rng(0)
    level = 5 * rng.standard_normal((8, 1, 1))  # one direction far louder than all others
    spectrogram = (level + rng.standard_normal((8, 64, 128))).astype(np.float32)
    whiten_embedding_(network, [spectrogram], seed=0)
    with torch.no_grad():
        grid = network.emb(torch.from_numpy(spectrogram)[:, None])
    spread = grid.transpose(0, 1).flatten(1).std(1)
    assert spread.max() / spread.min() < 1.5, spread
    assert grid.mean().abs() < 0.1


def test_bundled_recipes_can_be_read() -> None:
    names = {path.stem for path in RECIPES.glob("*.toml")}
    assert {"a-rwkv-t-open", "published"} <= names
    for name in names:
        assert Recipe.read(find_recipe(name)).optimiser.steps > 0
    published = Recipe.read(find_recipe("published"))
    assert published.loss.kind == "softmax"
    assert published.network.position == "absolute"
