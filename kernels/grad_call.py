"""Runs of the passes of training, ``numba_grad_*.py``.

"Thin" tensors are in the dtype of matrix products (bfloat16 under autocast, otherwise float32), "wide" ones in float32.
"""

from __future__ import annotations

from array import array
from functools import cache

import numpy as np
import torch
from torch import Tensor

from . import grad_layout as at
from .layout import APART
from .numba_cache import kernel
from .object_code import Kernel
from .threads import run_on_threads

THIN = {torch.float32: "float32", torch.bfloat16: "bfloat16"}
"""Dtypes of thin tensors, and what the kernels for them are called by."""


@cache
def compiled(module: str, name: str) -> Kernel:
    """A kernel by its module in this package."""
    return kernel(f".{module}", name)


def new(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Memory for an output: the kernels write all of it."""
    return torch.empty(shape, dtype=dtype)


def wide(x: Tensor) -> Tensor:
    """As the kernels read a wide tensor."""
    return x if x.dtype == torch.float32 and x.is_contiguous() else x.float().contiguous()


def thin(x: Tensor, dtype: torch.dtype) -> Tensor:
    """As the kernels read a thin tensor."""
    return x if x.dtype == dtype and x.is_contiguous() else x.to(dtype).contiguous()


def float_bits(x: float) -> int:
    """A float32 in the lower half of a word."""
    return int(np.float32(x).view(np.uint32))


class Call:
    """One run of a kernel: its parameter block, and the tensors that must live until it ends."""

    def __init__(self, words: int, tasks: int, total: int, width: int) -> None:
        self.words = array("q", bytes(8 * words))  # a third of numpy's time for each number that is set
        self.words[at.TASKS], self.words[at.TOTAL], self.words[at.WIDTH] = tasks, total, width
        self.tasks, self.width = tasks, width
        self._kept: list[Tensor] = []

    def again(self) -> Call:
        """Another run with the same parameters, to which more can be added."""
        call = object.__new__(Call)
        call.words, call._kept = self.words[:], self._kept.copy()
        call.words[at.NEXT_TASK] = call.words[at.NEXT_SCRATCH] = 0
        call.tasks, call.width = self.tasks, self.width
        return call

    def number(self, word: int, value: int) -> None:
        """Set a word."""
        self.words[word] = value

    def tensors(self, places: dict[int, Tensor]) -> None:
        """Set words to where tensors lie."""
        words = self.words
        for word, tensor in places.items():
            words[word] = tensor.data_ptr()
        self._kept.extend(places.values())

    def run(self, module: str, name: str, dtype: torch.dtype, floats: int) -> None:
        """Run it with so much scratch memory a thread."""
        threads = torch.get_num_threads()
        floats += APART
        scratch = new(min(threads, self.tasks) * floats)
        self.words[at.SCRATCH], self.words[at.SCRATCH_BYTES] = scratch.data_ptr(), 4 * floats
        run_on_threads(compiled(module, f"{name}_{THIN[dtype]}"), self.words.buffer_info()[0], threads)


def prepare(dtype: torch.dtype) -> None:
    """Compile all passes for thin tensors of a dtype, or load them: raises what the compiler raises."""
    for module, names in (
        ("numba_grad_shift", ("shift_six", "shift_one")),
        ("numba_grad_shift_back", ("shift_six_back", "shift_one_back")),
        ("numba_grad_attention", ("prepare", "combine")),
        ("numba_grad_attention_back", ("prepare_back", "combine_back")),
        ("numba_grad_relu", ("relu", "relu_back")),
        ("numba_stack", ("stack",)),
    ):
        for name in names:
            compiled(module, f"{name}_{THIN[dtype]}")
