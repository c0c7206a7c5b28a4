"""Tensors in memory that tells when something is written beside them, and that is NaN until it is written."""

import torch
from torch import Tensor

BAND_BYTES = 4096
GUARD = 0xA5
NAN = 0xFF  # all bits set are a NaN in every floating type


class GuardedMemory:
    """What `empty` gives out, and whether its guard bands are whole."""

    def __init__(self) -> None:
        self._allocated: list[tuple[Tensor, int]] = []

    def empty(
        self, shape: tuple[int, ...] | torch.Size, like: Tensor, dtype: torch.dtype | None = None
    ) -> Tensor:
        """As `cuda_launch.empty`."""
        dtype = dtype or like.dtype
        size = torch.Size(shape).numel() * dtype.itemsize
        memory = torch.full((size + 2 * BAND_BYTES,), GUARD, dtype=torch.uint8)
        memory[BAND_BYTES : BAND_BYTES + size] = NAN
        self._allocated.append((memory, size))
        return memory[BAND_BYTES : BAND_BYTES + size].view(dtype).view(shape)

    def copy(self, x: Tensor) -> Tensor:
        """A copy of x between guard bands, of its strides where they leave no gaps."""
        order = sorted(range(x.ndim), key=lambda i: -x.stride(i))
        copied = self.empty([x.shape[i] for i in order], x).permute([order.index(i) for i in range(x.ndim)])
        return copied.copy_(x)

    def check(self) -> None:
        """Fail if anything was written beside what was given out."""
        for memory, size in self._allocated:
            assert (memory[:BAND_BYTES] == GUARD).all(), "something was written before a tensor"
            assert (memory[BAND_BYTES + size :] == GUARD).all(), "something was written behind a tensor"
