"""Whether the CUDA kernels can be compiled here, by what, and for which GPUs they are kept already."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .check import Check

if TYPE_CHECKING:
    from arwkv_kernels.nvrtc import Nvrtc

SECTION = "kernels"
WAY_OUT = "unset ARWKV_BACKEND or use --device cpu, and please report it with this output"


def check_cuda() -> Iterator[Check]:
    """Tell which NVRTC compiles the CUDA kernels and what is compiled; both matter only where there is a GPU."""
    import torch

    from arwkv_core.errors import ArwkvError
    from arwkv_kernels.nvrtc import nvrtc
    from arwkv_kernels.nvrtc_library import package_for

    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not gpus:
        built_for = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built without CUDA"
        yield Check(SECTION, "GPUs for cuda", f"torch finds none (it is {built_for})")
    try:
        compiler = nvrtc()
    except ArwkvError as error:
        if gpus:
            yield Check(SECTION, "NVRTC", str(error), False, f"pip install {package_for(torch.version.cuda)}")
        else:
            yield Check(SECTION, "NVRTC", str(error))
        return
    known = f"sm_{compiler.architectures[0]} to sm_{compiler.architectures[-1]}"
    yield Check(SECTION, "NVRTC", f"{compiler.version_text}, compiles for {known}, {compiler.place}", True)
    yield _kept(compiler, gpus)


def _kept(compiler: Nvrtc, gpus: int) -> Check:
    """Tell for which architectures the kernels of this version are in the cache, and for which GPU they are not."""
    import torch

    from arwkv_kernels import cuda_launch
    from arwkv_kernels.cuda_cache import cache_directory, cache_file
    from arwkv_kernels.cuda_target import Target, target_of
    from arwkv_kernels.kept_file import kept

    def is_kept(target: Target) -> bool:
        return kept(cache_file(cuda_launch.SOURCE, target, compiler)) is not None

    every = [Target(f"sm_{number}") for number in compiler.architectures]
    here = [target_of(torch.cuda.get_device_capability(index), compiler) for index in range(gpus)]
    compiled = [target.arch for target in dict.fromkeys([*every, *here]) if is_kept(target)]
    cold = [
        f"cuda:{index} ({target.arch})" for index, target in enumerate(here) if target.arch not in compiled
    ]
    found = f"{cache_directory()}, " + (f"kept for {', '.join(compiled)}" if compiled else "nothing kept")
    if cold:
        found += f"; not yet for {', '.join(cold)}, which `arwkv kernels build` changes"
    return Check(SECTION, "CUDA cache", found)
