"""Where the CUDA kernels run for a measurement: on a GPU, or on the emulator that the tests have."""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from arwkv_core.errors import UsageError
from arwkv_kernels import cuda_launch
from arwkv_kernels.cuda_launch import Executor

TESTS = Path(__file__).parents[1] / "tests"
WARM_UP = 3


class Machine:
    """A GPU.

    Attributes
    ----------
    device : torch.device
        Where tensors lie.
    name : str
    is_gpu : bool
        Whether times mean anything.
    """

    is_gpu = True

    def __init__(self) -> None:
        from arwkv_kernels import cuda_backend

        self.device = torch.device("cuda")
        reason = cuda_backend.unavailable(self.device, torch.float32)
        if reason is not None:
            raise UsageError(
                f"--device cuda: the kernels can't run here ({reason}); "
                "--device emulator tries this script without a GPU"
            )
        self.name = torch.cuda.get_device_name(self.device)

    @contextmanager
    def executor(self) -> Iterator[Executor]:
        """What `cuda_launch` is given to run launches."""
        from arwkv_kernels import cuda_backend

        with cuda_backend.executor(self.device) as run:
            yield run

    def seconds(self, call: Callable[[], object], repeats: int) -> float:
        """Median time of a call."""
        for _ in range(WARM_UP):
            call()
        times = []
        for _ in range(repeats):
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            call()
            end.record()
            end.synchronize()
            times.append(begin.elapsed_time(end) / 1e3)
        return statistics.median(times)

    def peak_bytes(self, call: Callable[[], object]) -> int | None:
        """What a call takes at its height, on top of what was taken before; None where nobody counts."""
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        call()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before


class EmulatedMachine(Machine):
    """The kernels' own source on the CPU: right, but its times tell nothing about a GPU."""

    is_gpu = False

    def __init__(self) -> None:
        sys.path.insert(0, str(TESTS))
        import cuda_emulator

        self.device, self.name = torch.device("cpu"), "emulator, NOT a GPU"
        if not cuda_emulator.available():
            raise UsageError(
                "--device emulator: needs g++ on the PATH; install it, or use --device cuda on a GPU"
            )
        self._folder = tempfile.TemporaryDirectory()
        self._emulator = cuda_emulator.Emulator(Path(self._folder.name))

    @contextmanager
    def executor(self) -> Iterator[Executor]:
        yield self._emulator

    def seconds(self, call: Callable[[], object], repeats: int) -> float:
        start = time.perf_counter()
        call()
        return time.perf_counter() - start

    def peak_bytes(self, call: Callable[[], object]) -> int | None:
        return None


def machine(device: str) -> Machine:
    """The one of that name: ``cuda`` or ``emulator``."""
    return Machine() if device == "cuda" else EmulatedMachine()


def concatenated(run: Executor, *inputs: Tensor) -> Tensor:
    """Both directions as the published path has them: one direction over inputs and their flipped copies.

    Parameters
    ----------
    run : callable
    *inputs : Tensor
        r, w, k, v, a, b ``(B, T, H, 64)`` and gate ``(B, T, H)``.
    """
    *tensors, gate = inputs
    both = [torch.cat((x, x.flip(1))) for x in tensors]
    count, _, heads, channels = both[0].shape
    state = both[0].new_zeros((count, heads, channels, channels), dtype=torch.float32)
    y, _ = cuda_launch.sweep(run, *both, state, False)
    forward, backward = y.chunk(2)
    return gate[..., None] * forward + (1 - gate[..., None]) * backward.flip(1)
