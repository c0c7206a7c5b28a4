"""MKL's Fourier transform, by its address: the one that ``torch.fft`` calls, without what torch does around it.

Torch makes a new plan at every call and runs it on all of its threads; a kernel that works on a few frames at a time,
perhaps in a thread beside the model, wants one plan and its own thread only.
"""

import ctypes
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import torch

# Constants of MKL's public header mkl_dfti.h.
_REAL = 33
_NUMBER_OF_TRANSFORMS, _CONJUGATE_EVEN_STORAGE, _PLACEMENT = 7, 10, 11
_INPUT_DISTANCE, _OUTPUT_DISTANCE, _THREAD_LIMIT = 14, 15, 27
_COMPLEX_COMPLEX, _NOT_INPLACE = 39, 44


class RealTransform(NamedTuple):
    """A plan of so many transforms of real float32 numbers, rows close together, results likewise."""

    function: int
    """Address of ``DftiComputeForward``."""
    descriptor: int
    """Its first argument; several threads may use it at once."""


def _library() -> ctypes.CDLL | None:
    """Torch's own library, which in its builds for x86 on Linux has MKL inside."""
    path = Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"
    try:
        return ctypes.CDLL(str(path))
    except OSError:
        return None


@lru_cache(maxsize=8)
def real_transform(samples: int, rows: int) -> RealTransform | None:
    """The plan for `rows` rows of an even number of `samples`, or None where torch brings no MKL to be called."""
    library = _library()
    if library is None:
        return None
    try:
        create, set_value = library.DftiCreateDescriptor_s_1d, library.DftiSetValue
        commit, compute = library.DftiCommitDescriptor, library.DftiComputeForward
    except AttributeError:
        return None
    descriptor = ctypes.c_void_p()
    if create(ctypes.byref(descriptor), ctypes.c_int(_REAL), ctypes.c_long(samples)):
        return None
    settings = {
        _NUMBER_OF_TRANSFORMS: rows,
        _PLACEMENT: _NOT_INPLACE,
        _CONJUGATE_EVEN_STORAGE: _COMPLEX_COMPLEX,
        _INPUT_DISTANCE: samples,
        _OUTPUT_DISTANCE: samples // 2 + 1,
        _THREAD_LIMIT: 1,
    }
    for name, value in settings.items():
        if set_value(descriptor, ctypes.c_int(name), ctypes.c_long(value)):
            return None
    if commit(descriptor) or descriptor.value is None:
        return None
    address = ctypes.cast(compute, ctypes.c_void_p).value
    return None if address is None else RealTransform(address, descriptor.value)
