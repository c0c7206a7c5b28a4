"""Compile the CUDA kernels before they are needed, with or without a GPU: ``arwkv kernels build``."""

import logging
from collections.abc import Iterator, Sequence

from arwkv_core.errors import UsageError

from .cuda_cache import CudaCode, cuda_code
from .cuda_target import ALL, EVERY, Target, target_of, targets_named
from .nvrtc import Nvrtc, nvrtc

logger = logging.getLogger("arwkv.kernels")


def build(arch: Sequence[str] = ()) -> Iterator[CudaCode]:
    """Compile the kernels for some architectures and keep them in the user's cache directory.

    What is kept there already is not compiled again. No GPU is needed where the architectures are named.

    Parameters
    ----------
    arch : sequence of str
        Such as ``sm_90``; ``all`` stands for the usual ones that the compiler knows. By default those of the GPUs that
        torch sees.

    Yields
    ------
    CudaCode
        For one architecture after the other, as soon as it is there.

    Raises
    ------
    UsageError
        If there is no GPU and none is named, or if the compiler does not know one.
    NvrtcNotFound
        If there is no compiler; the message names the package that has it.
    CompileError
        If the kernels can't be compiled.
    """
    from . import cuda_launch  # here, because it imports torch

    compiler = nvrtc()
    targets = _targets(arch, compiler)
    return (cuda_code(cuda_launch.SOURCE, target, compiler) for target in targets)


def _targets(arch: Sequence[str], compiler: Nvrtc) -> list[Target]:
    if arch:
        targets, unknown = targets_named(arch, compiler)
        if unknown:
            logger.warning(
                "left out, as NVRTC %s does not know it: %s", compiler.version_text, ", ".join(unknown)
            )
        return targets
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:
        raise UsageError(
            f"torch finds no GPU to compile for: name architectures, such as --arch {EVERY[-3]}, or --arch {ALL}"
        )
    capabilities = [torch.cuda.get_device_capability(index) for index in range(count)]
    return list(dict.fromkeys(target_of(capability, compiler) for capability in capabilities))
