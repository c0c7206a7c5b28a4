"""The emulator of CUDA's threads refuses what a GPU would not forgive, and lets the rest through."""

import ctypes
from pathlib import Path

import cuda_emulator
import numpy as np
import pytest
from cuda_emulator import Emulator, EmulatorError

from arwkv_kernels.cuda_launch import Launch

pytestmark = pytest.mark.skipif(not cuda_emulator.available(), reason="needs g++, which compiles the kernels")

THREADS = 64


class Arguments(ctypes.Structure):
    _fields_ = [("result", ctypes.c_void_p), ("source", ctypes.c_void_p)]


SOURCE = """
struct Arguments { float *result; const float *source; };
extern __shared__ uint4 shared_memory[];
#define KERNEL(NAME) extern "C" __global__ void NAME(const __grid_constant__ Arguments p)

KERNEL(reversed) {  // through shared memory
    float *shared = reinterpret_cast<float *>(shared_memory);
    shared[threadIdx.x] = threadIdx.x;
    __syncthreads();
    p.result[threadIdx.x] = shared[blockDim.x - 1 - threadIdx.x];
}
KERNEL(reversed_without_barrier) {
    float *shared = reinterpret_cast<float *>(shared_memory);
    shared[threadIdx.x] = threadIdx.x;
    p.result[threadIdx.x] = shared[blockDim.x - 1 - threadIdx.x];
}
KERNEL(sum_of_a_warp) {
    float x = threadIdx.x;
    for (int mask = 1; mask < 32; mask *= 2) x += __shfl_xor_sync(0xffffffffu, x, mask);
    p.result[threadIdx.x] = x + 1000 * __shfl_sync(0xffffffffu, float(threadIdx.x), 3);
}
KERNEL(barrier_of_half_a_block) { if (threadIdx.x < 32) __syncthreads(); }
KERNEL(barrier_of_half_a_warp) { if (threadIdx.x % 32 < 16) __syncthreads(); }
KERNEL(two_barriers) {
    if (threadIdx.x < 32) __syncthreads();
    else
        __syncthreads();
}
KERNEL(shuffle_of_half_a_warp) { if (threadIdx.x % 32 < 16) __shfl_sync(0xffffffffu, 0, 0); }
KERNEL(beyond_shared_memory) { reinterpret_cast<float *>(shared_memory)[threadIdx.x + 1] = 0; }
KERNEL(copied) {
    float *shared = reinterpret_cast<float *>(shared_memory);
    if (threadIdx.x < 16) copy_async(shared + 4 * threadIdx.x, p.source + 4 * threadIdx.x);
    wait_for_copies();
    __syncthreads();
    p.result[threadIdx.x] = shared[threadIdx.x];
}
KERNEL(copied_without_waiting) {
    float *shared = reinterpret_cast<float *>(shared_memory);
    if (threadIdx.x < 16) copy_async(shared + 4 * threadIdx.x, p.source + 4 * threadIdx.x);
    __syncthreads();
    p.result[threadIdx.x] = shared[threadIdx.x];
}
KERNEL(copied_but_read_too_early) {
    float *shared = reinterpret_cast<float *>(shared_memory);
    if (threadIdx.x < 16) copy_async(shared + 4 * threadIdx.x, p.source + 4 * threadIdx.x);
    __syncthreads();
    p.result[threadIdx.x] = shared[threadIdx.x];
    wait_for_copies();
}
KERNEL(copied_askew) { copy_async(shared_memory, p.source + 1); wait_for_copies(); }
"""
KERNELS = tuple(line[7:].partition(")")[0] for line in SOURCE.splitlines() if line.startswith("KERNEL("))


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("emulator")


def run(directory: Path, kernel: str, seed: int = 1, threads: int = THREADS) -> np.ndarray:
    """What the kernel has written for each thread."""
    source = directory / "kernels.cu"
    source.write_text(SOURCE, "utf-8")
    result = np.full(threads, np.nan, np.float32)
    memory = np.arange(THREADS + 4, dtype=np.float32)
    aligned = memory[(-memory.ctypes.data // 4) % 4 :]
    arguments = Arguments(result.ctypes.data, aligned.ctypes.data)
    emulator = Emulator(directory, seed, source=source, kernels=KERNELS)
    emulator(Launch(kernel, (1, 1, 1), (threads, 1, 1), 4 * THREADS, arguments))
    return result


@pytest.mark.parametrize("seed", range(4))
def test_threads_meet_at_barriers_and_shuffles(directory: Path, seed: int) -> None:
    assert np.array_equal(run(directory, "reversed", seed), np.arange(THREADS)[::-1])
    warp = np.arange(THREADS) // 32
    assert np.array_equal(run(directory, "sum_of_a_warp", seed), 496 + 1024 * warp + 1000 * (3 + 32 * warp))
    copied = run(directory, "copied", seed)
    assert np.array_equal(copied, copied[0] + np.arange(THREADS))


@pytest.mark.parametrize(
    ("kernel", "problem"),
    [
        ("barrier_of_half_a_block", "barriers"),
        ("barrier_of_half_a_warp", "different places"),
        ("two_barriers", "different barriers"),
        ("shuffle_of_half_a_warp", "different places"),
        ("beyond_shared_memory", "behind its shared memory"),
        ("copied_without_waiting", "not waited for"),
        ("copied_askew", "16 bytes"),
        ("unknown", "is unknown"),
    ],
)
def test_errors_are_found(directory: Path, kernel: str, problem: str) -> None:
    with pytest.raises(EmulatorError, match=f"{kernel} .*{problem}"):
        run(directory, kernel)


@pytest.mark.parametrize("kernel", ["reversed_without_barrier", "copied_but_read_too_early"])
def test_a_race_depends_on_the_seed(directory: Path, kernel: str) -> None:
    results = [run(directory, kernel, seed) for seed in range(4)]
    assert not all(np.array_equal(results[0], other, equal_nan=True) for other in results)


def test_a_block_has_whole_warps(directory: Path) -> None:
    with pytest.raises(EmulatorError, match="not full"):
        run(directory, "reversed", threads=40)
