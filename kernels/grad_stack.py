"""Weights side by side in the dtype of matrix products, so that those of one shape can be multiplied at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from . import stack_layout as at
from .grad_call import THIN, compiled, new, wide
from .threads import run_on_threads

FULL_VECTOR = 32
"""Numbers in the widest vector that the kernels are compiled for."""


def stacked(tensors: Sequence[Tensor], dtype: torch.dtype) -> Tensor:
    """All numbers of some tensors, one tensor after the other.

    Parameters
    ----------
    tensors : sequence of Tensor
        On the CPU, each of a multiple of 32 numbers.
    dtype : {torch.float32, torch.bfloat16}

    Returns
    -------
    Tensor, ``(numbers,)``

    Raises
    ------
    ValueError
        If a tensor has another number of numbers.
    """
    sources = [wide(x) for x in tensors]
    counts = [x.numel() for x in sources]
    if any(count % FULL_VECTOR for count in counts):
        raise ValueError(f"expected multiples of {FULL_VECTOR} numbers, found {counts}")
    target = new(sum(counts), dtype=dtype)
    table = np.zeros((len(sources), at.ROW_WORDS), np.int64)
    table[:, at.SOURCE] = [x.data_ptr() for x in sources]
    table[:, at.COUNT] = counts
    table[1:, at.START] = np.cumsum(counts[:-1])
    words = np.zeros(at.WORDS, np.int64)
    words[at.TASKS], words[at.TABLE], words[at.TARGET] = len(sources), table.ctypes.data, target.data_ptr()
    run_on_threads(
        compiled("numba_stack", f"stack_{THIN[dtype]}"), words.ctypes.data, torch.get_num_threads()
    )
    return target
