"""NVRTC through ctypes: from CUDA C++ to machine code of one GPU architecture, inside this process."""

import ctypes
from dataclasses import dataclass
from functools import cache
from typing import Any

from arwkv_core.errors import ArwkvError

from . import nvrtc_library

SUCCESS = 0


class NvrtcError(ArwkvError):
    """NVRTC itself failed, not the source."""


class CompileError(ArwkvError):
    """The source can't be compiled.

    Attributes
    ----------
    log : str
        What the compiler said.
    """

    def __init__(self, name: str, options: tuple[str, ...], log: str) -> None:
        self.log = log.strip()
        super().__init__(f"{name} can't be compiled with {' '.join(options)}:\n{self.log}")

    @property
    def first_error(self) -> str:
        """The log's first line that tells of an error, for messages of one line."""
        lines = self.log.splitlines() or ["the compiler said nothing"]
        return next((line for line in lines if "error" in line), lines[-1]).strip()


@dataclass(frozen=True)
class Compiled:
    """What the compiler made.

    Attributes
    ----------
    code : bytes
        A cubin where the architecture was ``sm_…``, PTX where it was ``compute_…``.
    log : str
        What the compiler said about it.
    """

    code: bytes
    log: str


class Nvrtc:
    """The compiler.

    Parameters
    ----------
    library : ctypes.CDLL
    place : str
        Where it was found.

    Attributes
    ----------
    place : str
    version : tuple of int
        Major and minor, of CUDA.
    architectures : tuple of int
        What it compiles for, ascending: 90 stands for ``sm_90``.
    """

    def __init__(self, library: ctypes.CDLL, place: str) -> None:
        self._library = library
        self.place = place
        self._function("nvrtcGetErrorString").restype = ctypes.c_char_p
        major, minor, count = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
        self._call("nvrtcVersion", ctypes.byref(major), ctypes.byref(minor))
        self.version = major.value, minor.value
        self._call("nvrtcGetNumSupportedArchs", ctypes.byref(count))
        numbers = (ctypes.c_int * count.value)()
        self._call("nvrtcGetSupportedArchs", numbers)
        self.architectures = tuple(sorted(numbers))

    @property
    def version_text(self) -> str:
        """Such as ``13.0``."""
        return ".".join(map(str, self.version))

    def compile(self, source: str, name: str, options: tuple[str, ...]) -> Compiled:
        """Compile one source, which includes no files.

        Parameters
        ----------
        source : str
        name : str
            What messages call the source.
        options : tuple of str
            As NVRTC has them; one of them is ``--gpu-architecture=…``.

        Raises
        ------
        CompileError
            If there is something wrong with the source or the options; with the compiler's log.
        NvrtcError
            If there is something wrong with the compiler.
        """
        program = ctypes.c_void_p()
        text, title = source.encode(), name.encode()
        self._call("nvrtcCreateProgram", ctypes.byref(program), text, title, 0, None, None)
        try:
            values = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
            failed = self._library.nvrtcCompileProgram(program, len(options), values)
            log = self._get(program, "ProgramLog").rstrip(b"\0").decode(errors="replace")
            if failed:
                raise CompileError(name, options, log or self._error(failed))
            code = self._get(program, "CUBIN") or self._get(program, "PTX")
        finally:
            self._library.nvrtcDestroyProgram(ctypes.byref(program))
        return Compiled(code, log)

    def _get(self, program: ctypes.c_void_p, what: str) -> bytes:
        size = ctypes.c_size_t()
        self._call(f"nvrtcGet{what}Size", program, ctypes.byref(size))
        if not size.value:
            return b""
        data = ctypes.create_string_buffer(size.value)
        self._call(f"nvrtcGet{what}", program, data)
        return data.raw

    def _call(self, function: str, *arguments: object) -> None:
        status = self._function(function)(*arguments)
        if status != SUCCESS:
            raise NvrtcError(f"{function}: {self._error(status)} ({self.place})")

    def _function(self, name: str) -> Any:
        try:
            return getattr(self._library, name)
        except AttributeError as error:
            raise NvrtcError(f"{self.place} is no NVRTC that arwkv can use: it has no {name}") from error

    def _error(self, status: int) -> str:
        text: bytes | None = self._library.nvrtcGetErrorString(status)
        return (text or b"").decode(errors="replace") or f"error {status}"


@cache
def nvrtc() -> Nvrtc:
    """The compiler that fits torch best; loaded at the first call.

    Raises
    ------
    NvrtcNotFound
        If there is none; the message names the package that has it.
    NvrtcError
        If what was found is unusable.
    """
    return Nvrtc(*nvrtc_library.load())
