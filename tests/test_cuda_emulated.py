"""The CUDA kernels' own source gives the values and gradients of the float64 reference, on the emulator."""

from collections.abc import Callable, Iterator
from pathlib import Path

import cuda_emulator
import kernel_cases as cases
import numpy as np
import pytest
import torch
from cuda_emulator import Emulator, EmulatorError
from guarded_memory import GuardedMemory
from torch import Tensor

from arwkv_kernels import cuda_launch, reference

pytestmark = pytest.mark.skipif(
    not cuda_emulator.available(), reason="needs g++, which compiles the kernels' source for the CPU"
)

MakeEmulator = Callable[..., Emulator]
MANY, FEW = (
    10**6,
    1,
)  # multiprocessors: there are blocks enough for a few, so that they are wide; not for many


@pytest.fixture(scope="session")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where compiled sources lie: the kernels are compiled once."""
    return tmp_path_factory.mktemp("emulated")


@pytest.fixture
def run(libraries: Path) -> Emulator:
    return Emulator(libraries)


@pytest.fixture(autouse=True)
def memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[GuardedMemory]:
    """Results and scratch lie between guard bands, and are NaN until they are written."""
    guarded = GuardedMemory()
    monkeypatch.setattr(cuda_launch, "empty", guarded.empty)
    yield guarded
    guarded.check()


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """The reference works on small tensors: on a busy machine, threads would wait for each other most of the time."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def set_multiprocessors(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(cuda_launch, "multiprocessors", lambda device: count)


def assert_all_close(
    found: tuple[Tensor, ...], expected: tuple[Tensor, ...], inputs: tuple[Tensor, ...], tolerance: float
) -> None:
    """Y and the gradients, if there are any; each in the dtype of its tensor."""
    names = ["y", *(f"d{name}" for name in cases.NAMES)][: len(found)]
    for name, x, wanted, like in zip(names, found, expected, (inputs[3], *inputs), strict=False):
        assert x.dtype == like.dtype, f"{name} is {x.dtype}"
        cases.assert_close(name, x, wanted, tolerance)


# A covering choice: every length with every number of heads and sequences, and every dtype with odd and even lengths.
SHAPES = [
    (1, 1, 1, torch.float32),
    (2, 1, 3, torch.bfloat16),
    (1, 2, 1, torch.float16),
    (2, 15, 1, torch.float16),
    (1, 15, 12, torch.float32),
    (1, 16, 3, torch.bfloat16),
    (2, 16, 1, torch.float32),
    (1, 17, 1, torch.bfloat16),
    (2, 17, 3, torch.float32),
    (1, 17, 12, torch.float16),
    (1, 63, 3, torch.float32),
    (2, 63, 1, torch.bfloat16),
    (1, 63, 1, torch.float16),
    (1, 496, 1, torch.bfloat16),
]


@pytest.mark.parametrize(("batch", "tokens", "heads", "dtype"), SHAPES, ids=str)
def test_values_and_gradients(
    run: Emulator, memory: GuardedMemory, batch: int, tokens: int, heads: int, dtype: torch.dtype
) -> None:
    inputs = tuple(
        memory.copy(x) for x in cases.in_dtype(cases.inputs(batch, tokens, heads, "trained"), dtype)
    )
    before = [x.clone() for x in inputs]
    dy = memory.copy(cases.incoming(batch, tokens, heads).to(dtype))
    y, gradients = cases.expected(batch, tokens, heads, "trained", dtype)
    found = (cuda_launch.forward(run, *inputs), *cuda_launch.backward(run, dy, *inputs))
    assert_all_close(found, (y, *gradients), inputs, cases.TOLERANCE[dtype])
    assert all(torch.equal(x, y) for x, y in zip(inputs, before, strict=True)), "an input was changed"
    most = max(launch.shared_bytes for launch in run.launches)
    assert most <= 64 * 1024, "more than every GPU has for a block"


def test_a_batch_of_the_model(run: Emulator) -> None:
    inputs = cases.inputs(2, 496, 12)
    dy = cases.incoming(2, 496, 12)
    y, gradients = cases.expected(2, 496, 12, "trained", torch.float32)
    found = (cuda_launch.forward(run, *inputs), *cuda_launch.backward(run, dy, *inputs))
    assert_all_close(found, (y, *gradients), inputs, cases.TOLERANCE[torch.float32])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("tokens", [1, 17, 50])
def test_narrow_blocks(
    run: Emulator, monkeypatch: pytest.MonkeyPatch, tokens: int, dtype: torch.dtype
) -> None:
    inputs = cases.in_dtype(cases.inputs(1, tokens, 2), dtype)
    wide = cuda_launch.forward(run, *inputs)
    set_multiprocessors(monkeypatch, MANY)
    narrow = cuda_launch.forward(run, *inputs)
    assert [("narrow" in launch.kernel) for launch in run.launches] == [False, False, True, True]
    expected, _ = cases.expected(1, tokens, 2, "trained", dtype)
    cases.assert_close("y", narrow, expected, cases.TOLERANCE[dtype])
    cases.assert_close("y", narrow, wide, 1e-2 if dtype != torch.float32 else 1e-6)


def test_golden_file(run: Emulator) -> None:
    golden = np.load(Path(__file__).parent / "data" / "bi_wkv7.npz")
    inputs = tuple(torch.from_numpy(golden[name]) for name in cases.NAMES)
    expected = tuple(torch.from_numpy(golden[name]) for name in ("y", *(f"d{name}" for name in cases.NAMES)))
    dy = torch.from_numpy(golden["dy"])
    found = (cuda_launch.forward(run, *inputs), *cuda_launch.backward(run, dy, *inputs))
    assert_all_close(found, expected, inputs, 2e-5)


@pytest.mark.parametrize("decay", [name for name in cases.DECAYS if name != "trained"])
def test_extreme_decays(run: Emulator, decay: str) -> None:
    inputs = cases.inputs(1, 33, 2, decay)
    y, gradients = cases.expected(1, 33, 2, decay, torch.float32)
    found = (
        cuda_launch.forward(run, *inputs),
        *cuda_launch.backward(run, cases.incoming(1, 33, 2), *inputs),
    )
    assert_all_close(found, (y, *gradients), inputs, 2e-5)


# As autocast mixes them, and otherwise; one of r w k v a b gate dy.
MIXTURES = ["bfbbffbb", "hfhhhhff", "ffffffhb", "bhfbhfbf", "bbbbbbff"]
LETTERS = {"f": torch.float32, "b": torch.bfloat16, "h": torch.float16}


@pytest.mark.parametrize("mixture", MIXTURES)
def test_any_mixture_of_dtypes(run: Emulator, mixture: str) -> None:
    dtypes = [LETTERS[letter] for letter in mixture]
    plain = (*cases.inputs(2, 21, 2), cases.incoming(2, 21, 2))
    *inputs, dy = (x.to(dtype) for x, dtype in zip(plain, dtypes, strict=True))
    exact = [x.double() for x in inputs]
    expected = (reference.bi_wkv7(*exact), *reference.bi_wkv7_backward(dy.double(), *exact))
    found = (cuda_launch.forward(run, *inputs), *cuda_launch.backward(run, dy, *inputs))
    for x, wanted, like in zip(found, expected, (inputs[3], *inputs), strict=True):
        assert x.dtype == like.dtype
        cases.assert_close("one of them", x, wanted, cases.TOLERANCE[x.dtype])


def strided(x: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The same values in other strides: rows that can be copied as they are, and such that can't."""
    wide = torch.full((*x[2].shape[:-1], 200), torch.nan, dtype=x[2].dtype)
    wide[..., 3:67] = x[2]
    return (
        x[0].transpose(1, 2).contiguous().transpose(1, 2),  # head-major
        x[1].transpose(2, 3).contiguous().transpose(2, 3),  # channels apart
        wide[..., 3:67],  # part of a wider row, which does not begin at a multiple of 16 bytes
        x[3].flip(0).contiguous().flip(0),
        x[4][:, :1].expand(-1, x[4].shape[1], -1, -1),  # one token, seen many times
        x[5].permute(3, 1, 0, 2).contiguous().permute(2, 1, 3, 0),
        x[6].transpose(1, 2).contiguous().transpose(1, 2),
    )


@pytest.mark.parametrize("count", [FEW, MANY])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_tensors_of_any_strides(
    run: Emulator, monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, count: int
) -> None:
    set_multiprocessors(monkeypatch, count)
    inputs = strided(cases.in_dtype(cases.inputs(2, 19, 3), dtype))
    dy = cases.incoming(2, 19, 3).to(dtype)
    plain = [x.contiguous() for x in inputs]
    assert torch.equal(cuda_launch.forward(run, *inputs), cuda_launch.forward(run, *plain))
    apart = dy.transpose(1, 3).contiguous().transpose(1, 3)
    gradients = cuda_launch.backward(run, apart, *inputs)
    for name, x, y in zip(cases.NAMES, gradients, cuda_launch.backward(run, dy, *plain), strict=True):
        assert torch.equal(x, y), f"d{name} differs"


@pytest.mark.parametrize("count", [FEW, MANY])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_a_sweep_goes_on_from_a_state(
    run: Emulator, monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, reverse: bool, count: int
) -> None:
    set_multiprocessors(monkeypatch, count)
    *inputs, _ = cases.in_dtype(cases.inputs(2, 41, 3), dtype)
    given = torch.randn((2, 3, 64, 64), generator=torch.Generator().manual_seed(1)).transpose(2, 3)
    kept = given.clone()
    exact = [x.double() for x in inputs]
    expected, last = reference.wkv7_sweep(*exact, given.double(), reverse)
    state, parts = given, {}
    for start, end in [(18, 41), (17, 18), (0, 17)] if reverse else [(0, 17), (17, 18), (18, 41)]:
        stretch = [x[:, start:end] for x in inputs]
        parts[start], state = cuda_launch.sweep(run, *stretch, state, reverse)
    y = torch.cat([parts[start] for start in sorted(parts)], dim=1)
    assert y.dtype == dtype
    cases.assert_close("y", y, expected, cases.TOLERANCE[dtype])
    cases.assert_close("state", state, last, 2e-5)
    assert torch.equal(given, kept)


@pytest.mark.parametrize("position", range(7))
def test_a_nan_stays_in_its_head(run: Emulator, position: int) -> None:
    clean = cases.inputs(2, 20, 2)
    dy = cases.incoming(2, 20, 2)
    inputs = [x.clone() for x in clean]
    inputs[position][1, 10, 0] = torch.nan
    found = (cuda_launch.forward(run, *inputs), *cuda_launch.backward(run, dy, *inputs))
    wanted = (cuda_launch.forward(run, *clean), *cuda_launch.backward(run, dy, *clean))
    assert found[0][1, 10, 0].isnan().all()
    assert sum(int(x[1, :, 0].isnan().any()) for x in found[1:]) >= 6
    for x, y in zip(found, wanted, strict=True):
        assert torch.equal(x[0], y[0])
        assert torch.equal(x[1, :, 1], y[1, :, 1])


def test_strides_beyond_32_bits(run: Emulator, memory: GuardedMemory, tmp_path: Path) -> None:
    """Sequences, and then tokens, that lie 2**32 elements apart, in a file of which most is never written."""
    inputs = cases.in_dtype(cases.inputs(2, 3, 1), torch.bfloat16)
    expected = cuda_launch.forward(run, *inputs)
    file = tmp_path / "sparse"
    for strides, last in [((2**32, 64, 64, 1), 2**32 + 192), ((64, 2**31, 64, 1), 2**32 + 192)]:
        try:
            far = torch.from_file(str(file), shared=True, size=last, dtype=torch.bfloat16)
        except RuntimeError as error:
            pytest.skip(f"this disk has no sparse files: {error}")
        v = far.as_strided((2, 3, 1, 64), strides)
        v.copy_(inputs[3])
        assert torch.equal(cuda_launch.forward(run, *inputs[:3], v, *inputs[4:]), expected)
        del far, v
        file.unlink()


def test_results_beyond_32_bits(run: Emulator, tmp_path: Path) -> None:
    """As if a sequence of 2**26 tokens stood before the one that is swept: its y lies 2**32 elements further."""
    *inputs, _ = cases.in_dtype(cases.inputs(2, 3, 1), torch.bfloat16)
    state = torch.zeros(2, 1, 64, 64)
    expected, _ = cuda_launch.sweep(run, *inputs, state, False)
    before = 2**26
    try:
        size = (before + 3) * 64
        far = torch.from_file(str(tmp_path / "sparse"), shared=True, size=size, dtype=torch.bfloat16)
    except RuntimeError as error:
        pytest.skip(f"this disk has no sparse files: {error}")

    def run_far(launch: cuda_launch.Launch) -> None:
        launch.arguments.y.data = far.data_ptr()
        launch.arguments.tokens = before
        run(launch)

    cuda_launch.sweep(run_far, *inputs, state, False)
    assert torch.equal(far[: 3 * 64].view(3, 1, 64), expected[0])
    assert torch.equal(far[-3 * 64 :].view(3, 1, 64), expected[1])


@pytest.mark.parametrize("count", [FEW, MANY])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_the_order_of_threads_does_not_matter(
    libraries: Path, monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, count: int
) -> None:
    set_multiprocessors(monkeypatch, count)
    inputs = cases.in_dtype(cases.inputs(1, 101, 1), dtype)
    dy = cases.incoming(1, 101, 1).to(dtype)
    results = []
    for seed in range(2, 8):
        run = Emulator(libraries, seed)
        results.append((cuda_launch.forward(run, *inputs), *cuda_launch.backward(run, dy, *inputs)))
    for other in results[1:]:
        for name, x, y in zip(("y", *cases.NAMES), results[0], other, strict=True):
            assert torch.equal(x, y), f"{name} depends on the order"


BARRIER, WAIT = "__syncthreads();", "wait_for_copies();"
BARRIERS, WAITS = (
    5,
    2,
)  # forward, states, and before the first tile and twice a tile of the backward; of any tile, of v

MISSING = [*((BARRIER, i) for i in range(BARRIERS)), *((WAIT, i) for i in range(WAITS))]


def test_all_barriers_and_waits_are_known() -> None:
    source = cuda_launch.SOURCE.read_text("utf-8")
    assert (source.count(BARRIER), source.count(WAIT)) == (BARRIERS, WAITS)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize(("statement", "number"), MISSING, ids=str)
def test_each_barrier_and_wait_is_missed(
    libraries: Path, statement: str, number: int, dtype: torch.dtype
) -> None:
    """What the test of the order is good for: without any one of them, results depend on it, or it is an error."""
    parts = cuda_launch.SOURCE.read_text("utf-8").split(statement)
    broken = libraries / f"without_{statement.partition('(')[0]}_{number}.cu"
    before, after = statement.join(parts[: number + 1]), statement.join(parts[number + 1 :])
    broken.write_text(f"{before};{after}", "utf-8")
    inputs = cases.in_dtype(cases.inputs(1, 101, 1), dtype)
    dy = cases.incoming(1, 101, 1).to(dtype)
    results = []
    for seed in range(2, 5):
        run = Emulator(libraries, seed, source=broken)
        try:
            results.append((cuda_launch.forward(run, *inputs), *cuda_launch.backward(run, dy, *inputs)))
        except EmulatorError as error:
            if "not waited for" in str(error):
                return
            raise
    assert not all(torch.equal(x, y) for other in results[1:] for x, y in zip(results[0], other, strict=True))
