"""Small functions of LLVM code for this processor: what is measured is then what is written."""

from __future__ import annotations

from typing import Any

from .machine import cpu_flags


def lanes() -> int:
    """float32 in one of the processor's vector registers."""
    flags = cpu_flags()
    return 16 if "avx512f" in flags else 8 if "avx2" in flags else 4


def compiled(code: str) -> Any:
    """The engine with the functions of a piece of LLVM code; it must be kept for as long as they are called."""
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    module = binding.parse_assembly(code)
    features = binding.get_host_cpu_features().flatten()
    if lanes() == 16:
        features += ",-prefer-256-bit"
    machine = binding.Target.from_default_triple().create_target_machine(
        cpu=binding.get_host_cpu_name(), features=features, opt=3
    )
    engine = binding.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    return engine
