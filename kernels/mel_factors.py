"""The factors of the Fourier transform in `numba_mel_fourier`."""

import numpy as np
from numpy.typing import NDArray

from . import mel_layout

Floats = NDArray[np.float32]


def _roots(size: int, powers: NDArray[np.int64]) -> NDArray[np.complex128]:
    """``exp(-2 pi i / size)`` to such powers."""
    angle = -2 * np.pi * powers / size
    return np.cos(angle) + 1j * np.sin(angle)


def factors() -> Floats:
    """All factors, real and imaginary parts in turn, as `mel_layout` says where they stand."""
    table = np.zeros(mel_layout.FACTOR_FLOATS, np.float32)

    def put(offset: int, values: NDArray[np.complex128]) -> None:
        pairs = np.stack((values.real, values.imag), -1)
        table[offset : offset + pairs.size] = pairs.ravel()

    for offset, size, radix in (
        (mel_layout.TWIDDLE_16, 16, 4),
        (mel_layout.TWIDDLE_64, 64, 4),
        (mel_layout.TWIDDLE_512, 512, 8),
    ):
        put(offset, _roots(size, np.arange(size // radix)[:, None] * np.arange(1, radix)))
    root = _roots(mel_layout.FFT, np.arange(mel_layout.FFT // 4))
    # MKL's answer to an impulse shows that it rounds the root first, and then what it adds to 1
    near_one = (np.float32(1) + root.imag.astype(np.float32)) / np.float32(2)
    put(mel_layout.PARTING, near_one - 0.5j * root.real)
    return table
