"""Which backends of Bi-WKV-7 run here and why, whether they compute rightly, and where compiled ones are kept."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from itertools import product

from .check import Check

SECTION = "kernels"
WAY_OUT = "unset ARWKV_BACKEND, or install arwkv again: pip install --force-reinstall arwkv numba llvmlite"

SHAPES = ((1, 1, 1), (2, 33, 3))
"""Sequences, tokens, heads of the self-test: a single token, and more than a whole number of chunks."""


def check_kernels() -> Iterator[Check]:
    """Tell of each backend whether it runs, hold it against the plain loop in float64, and name the chosen ones."""
    import torch

    from arwkv_kernels import BackendError, backends, select
    from arwkv_kernels.op import HEAD_SIZE  # the operator's module makes its backends known
    from arwkv_kernels.registry import SLOWEST

    devices = ["cpu"] + (["cuda"] if torch.cuda.is_available() else [])
    for kind in devices:
        device = torch.device(kind)
        for backend in backends():
            name = f"{backend.name} on {kind}"
            reason = backend.obstacle(device, torch.float32, False)
            if reason is not None:
                yield Check(SECTION, name, f"can't run: {reason}")
            elif backend.name == SLOWEST:
                yield Check(
                    SECTION, name, f"the plain loop over heads of {HEAD_SIZE}, where nothing else runs"
                )
            else:
                yield _self_test(backend.name, kind)
    for kind, dtype in product(devices, (torch.float32, torch.bfloat16)):
        name = f"chosen for {str(dtype).removeprefix('torch.')} on {kind}"
        try:
            chosen = select(torch.device(kind), dtype).name
        except BackendError as error:
            yield Check(SECTION, name, str(error), False, WAY_OUT)
            continue
        slow = chosen == SLOWEST
        found = f"{chosen}: hundreds of times slower than a compiled kernel" if slow else chosen
        yield Check(SECTION, name, found, not slow, WAY_OUT if slow else "")


def _self_test(backend: str, kind: str) -> Check:
    import torch

    from arwkv_core.benchmark.correctness import WrongOutput
    from arwkv_core.benchmark.forced_backend import forced_backend
    from arwkv_core.benchmark.kernel_inputs import check_gradients

    name = f"{backend} on {kind}"
    try:
        with forced_backend(backend):
            for batch, tokens, heads in SHAPES:
                for dtype in (torch.float32, torch.bfloat16):
                    check_gradients(heads, dtype, batch=batch, tokens=tokens, device=kind)
    except WrongOutput as error:
        way_out = (
            f"{WAY_OUT}; ARWKV_BACKEND=reference is slow, but right; and please report it with this output"
        )
        return Check(SECTION, name, f"computes wrongly: {error}", False, way_out)
    return Check(SECTION, name, "runs; values and gradients are those of the plain loop", True)


def check_cache() -> Iterator[Check]:
    """Tell whether compiled kernels can be kept, and how much is kept already."""
    from arwkv_kernels.numba_cache import cache_directory

    directory = cache_directory()
    kept = (
        [path.stat().st_size for path in directory.glob("*") if path.is_file()] if directory.is_dir() else []
    )
    size = f"{len(kept)} files, {sum(kept) / 1e3:.0f} kB"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        way_out = "let NUMBA_CACHE_DIR name a folder that can be written, or every start compiles for seconds"
        yield Check(SECTION, "cache", f"{directory} can't be written: {error.strerror}", False, way_out)
    else:
        yield Check(SECTION, "cache", f"{directory}, {size}", True)
