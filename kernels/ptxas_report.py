"""What a compiled CUDA kernel needs of the GPU, from the report of the compiler's assembler (``ptxas -v``)."""

import re
from dataclasses import dataclass

ENTRY = re.compile(r"Compiling entry function '([^']+)' for '([^']+)'")

AMOUNTS = {  # field -> how the report has it; what it leaves out is none
    "registers": re.compile(r"Used (\d+) registers"),
    "barriers": re.compile(r"used (\d+) barriers"),
    "shared_bytes": re.compile(r"(\d+) bytes smem"),
    "stack_bytes": re.compile(r"(\d+) bytes stack frame"),
    "spill_store_bytes": re.compile(r"(\d+) bytes spill stores"),
    "spill_load_bytes": re.compile(r"(\d+) bytes spill loads"),
}


@dataclass(frozen=True)
class KernelResources:
    """What one kernel needs.

    Attributes
    ----------
    kernel : str
        The name of the ``__global__`` function.
    registers : int
        Of 32 bits, per thread.
    shared_bytes : int
        Shared memory of fixed size, per block; what a launch asks for comes on top.
    stack_bytes : int
        Local memory for arrays that are indexed at run time and for spilled registers, per thread.
    spill_store_bytes, spill_load_bytes : int
        Registers that did not fit, counted in the code, not by how often it runs; per thread. Of the kernel and of all
        functions in it that are not inlined.
    barriers : int
        Named barriers, per block.
    """

    kernel: str
    registers: int
    shared_bytes: int
    stack_bytes: int
    spill_store_bytes: int
    spill_load_bytes: int
    barriers: int


def parse(log: str) -> list[KernelResources]:
    """Every kernel of a compiler's log, in alphabetical order; PTX has no such report, and so no kernels."""
    pieces = ENTRY.split(log)[1:]  # name, architecture, what follows, name, ...
    kernels = [
        KernelResources(
            name, **{field: sum(map(int, amount.findall(text))) for field, amount in AMOUNTS.items()}
        )
        for name, text in zip(pieces[::3], pieces[2::3], strict=True)
    ]
    return sorted(kernels, key=lambda one: one.kernel)
