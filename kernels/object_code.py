"""Native code of a compiled kernel as bytes, and back: LLVM alone loads it, in a hundredth of numba's time to start."""

import ctypes
from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm

from .host_cpu import cpu_features, cpu_name

Kernel = Callable[[int], None]

RUNTIME = ("Py", "_Py", "numba_", "NRT_")
"""How names begin that numba's code has for the case that a kernel raises."""


def _target_machine() -> Any:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_triple(llvm.get_process_triple())
    return target.create_target_machine(
        cpu=cpu_name(),
        features=cpu_features(),
        opt=3,
        # as numba has it: code is loaded wherever there is room, and x86 then wants its addresses whole
        reloc="static" if target.name.startswith("x86") else "default",
        codemodel="jitdefault",
        jit=True,
    )


def _without_runtime(module: Any) -> None:
    """Give the module its own ends for what would need numba's runtime: there the process stops.

    Kernels raise nothing; but numba writes down what would have to be done if they did.
    """
    names = [
        value.name
        for values in (module.functions, module.global_variables)
        for value in values
        if value.is_declaration and value.name.startswith(RUNTIME)
    ]
    functions = {value.name for value in module.functions}
    ends = ["declare void @llvm.trap()"]
    for name in names:
        if name in functions:
            ends.append(f"define void @{name}() {{ call void @llvm.trap() unreachable }}")
        else:
            ends.append(f"@{name} = global i8 0")
    module.link_in(llvm.parse_assembly("\n".join(ends)))


def emit(ir: str) -> bytes:
    """Object code for the host CPU that needs nothing of Python or numba, from the text of an optimised module."""
    module = llvm.parse_assembly(ir)
    _without_runtime(module)
    return bytes(_target_machine().emit_object(module))


def load(code: bytes, symbol: str) -> Kernel:
    """The function ``void symbol(int64)`` in object code, to be called from Python; it releases the GIL."""
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target_machine())
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    call = ctypes.CFUNCTYPE(None, ctypes.c_int64)(engine.get_function_address(symbol))
    call.engine = engine  # type: ignore[attr-defined]  # the code lives as long as the engine does
    return call
