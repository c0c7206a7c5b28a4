"""The CUDA kernels' own source, compiled with g++ and run on the CPU: see ``emulator.h``."""

import ctypes
import hashlib
import shutil
import subprocess
from pathlib import Path

from arwkv_kernels.cuda_launch import KERNELS, SOURCE, Launch

HEADER = Path(__file__).parent / "emulator.h"
COMPILER = "g++"
FLAGS = (
    "-std=c++17",
    "-O2",
    "-fPIC",
    "-shared",
    "-fno-strict-aliasing",
    "-U_FORTIFY_SOURCE",
    "-Wno-attributes",
)


class EmulatorError(RuntimeError):
    """A kernel did what it must not; the message names kernel, block, thread and line."""


def available() -> bool:
    """Whether there is a compiler."""
    return shutil.which(COMPILER) is not None


class Emulator:
    """An executor of launches.

    Parameters
    ----------
    directory : Path
        Where to put, and to find again, what is compiled.
    seed : int
        By which the order of threads, warps and blocks is drawn.
    defines : tuple of str
        Macros that are defined for the source.
    source : Path
    kernels : tuple of str
        Those of the source.
    """

    def __init__(
        self,
        directory: Path,
        seed: int = 1,
        defines: tuple[str, ...] = (),
        source: Path = SOURCE,
        kernels: tuple[str, ...] = KERNELS,
    ) -> None:
        self.seed = seed
        self.launches: list[Launch] = []
        self._library = ctypes.CDLL(str(_compile(directory, defines, source, kernels)))

    def __call__(self, launch: Launch) -> None:
        """Run it to its end.

        Raises
        ------
        EmulatorError
            For a barrier that not all threads reach, lanes that part, or shared memory that is overrun.
        """
        self.launches.append(launch)
        text = ctypes.create_string_buffer(500)
        failed = self._library.emulate(
            launch.kernel.encode(),
            (ctypes.c_uint * 3)(*launch.grid),
            (ctypes.c_uint * 3)(*launch.block),
            ctypes.c_size_t(launch.shared_bytes),
            ctypes.byref(launch.arguments),
            ctypes.c_size_t(ctypes.sizeof(launch.arguments)),
            ctypes.c_ulonglong(self.seed),
            text,
            ctypes.c_size_t(len(text)),
        )
        if failed:
            raise EmulatorError(text.value.decode())


def _compile(directory: Path, defines: tuple[str, ...], source: Path, kernels: tuple[str, ...]) -> Path:
    """The library, compiled if the same text has not been compiled before."""
    options = [*FLAGS, *(f"-D{name}" for name in defines)]
    table = ", ".join(f"EMULATED_KERNEL({name})" for name in kernels)
    program = f'#include "{HEADER}"\n#include "{source}"\nconst std::vector<Kernel> kernels = {{{table}}};\n'
    text = "\0".join([program, HEADER.read_text("utf-8"), source.read_text("utf-8"), *options])
    library = directory / f"{hashlib.sha256(text.encode()).hexdigest()}.so"
    if not library.exists():
        library.with_suffix(".cpp").write_text(program, "utf-8")
        command = [COMPILER, *options, "-o", str(library), str(library.with_suffix(".cpp"))]
        subprocess.run(command, check=True)
    return library
