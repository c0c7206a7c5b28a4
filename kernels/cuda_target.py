"""What CUDA kernels are compiled for: the architecture of a GPU, or one that its driver can translate from."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from arwkv_core.errors import ArwkvError, UsageError

from .nvrtc import Nvrtc

ALL = "all"
"""Stands for `EVERY`, as far as the compiler knows them."""

EVERY = ("sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120")
"""From Turing to Blackwell; what lies between runs the code of the one before."""

NAME = re.compile(r"sm_(\d{2,3})")


class UnsupportedGpu(ArwkvError):
    """A GPU that the compiler makes no code for."""


@dataclass(frozen=True)
class Target:
    """What to compile for.

    Attributes
    ----------
    arch : str
        ``sm_90`` for machine code of that architecture, ``compute_90`` for PTX, which the driver translates.
    """

    arch: str

    @property
    def option(self) -> str:
        """The compiler's option for it."""
        return f"--gpu-architecture={self.arch}"


def target_of(capability: tuple[int, int], compiler: Nvrtc) -> Target:
    """The target for a GPU of this compute capability.

    A GPU newer than the compiler gets PTX of the newest architecture before its own that the compiler knows.

    Raises
    ------
    UnsupportedGpu
        If it is older than what the compiler knows.
    """
    number = 10 * capability[0] + capability[1]
    before = [known for known in compiler.architectures if known <= number]
    if not before:
        raise UnsupportedGpu(
            f"this GPU is sm_{number}, and NVRTC {compiler.version_text} compiles for sm_"
            f"{compiler.architectures[0]} and newer: install a torch that is built for an older CUDA"
        )
    return Target(f"sm_{number}" if before[-1] == number else f"compute_{before[-1]}")


def targets_named(names: Sequence[str], compiler: Nvrtc) -> tuple[list[Target], list[str]]:
    """The targets that a user names, each once; and those of ``all`` that this compiler does not know.

    Raises
    ------
    UsageError
        If a name is no architecture, or none that the compiler knows.
    """
    known = [f"sm_{number}" for number in compiler.architectures]
    wanted: list[str] = []
    for name in names:
        if name != ALL and name not in known:
            what = "not one" if NAME.fullmatch(name) else "not the name of one"
            raise UsageError(
                f"--arch {name}: {what} of the architectures that NVRTC {compiler.version_text} compiles for: "
                f"{', '.join(known)}, or {ALL}"
            )
        wanted += EVERY if name == ALL else [name]
    unique = list(dict.fromkeys(wanted))
    return [Target(name) for name in unique if name in known], [name for name in unique if name not in known]
