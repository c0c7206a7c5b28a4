"""CUDA's driver through ctypes: it loads compiled kernels and launches them; every status is looked at.

The driver is the one that torch uses, and so is the context, the device's primary one.
"""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

LIBRARY = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"

SUCCESS = 0

# Of cuda.h, whose names these are in lower case.
FUNC_ATTRIBUTE_NUM_REGS = 4
FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES = 8
JIT_ERROR_LOG_BUFFER = 5
JIT_ERROR_LOG_BUFFER_SIZE_BYTES = 6

LOG_BYTES = 8192

FREE_SHARED_BYTES = 48 * 1024
"""Dynamic shared memory that a kernel may have without asking for it first."""


class DriverError(RuntimeError):
    """A call of the driver failed; the message has its name for the error and its explanation."""


class Kernel:
    """A kernel that is loaded on one device.

    Attributes
    ----------
    name : str
    handle : ctypes.c_void_p
    shared_bytes : int
        Dynamic shared memory that a launch may ask for by now.
    """

    def __init__(self, name: str, handle: ctypes.c_void_p) -> None:
        self.name = name
        self.handle = handle
        self.shared_bytes = FREE_SHARED_BYTES


class CudaDriver:
    """The driver.

    Parameters
    ----------
    library : ctypes.CDLL
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self._contexts: dict[int, ctypes.c_void_p] = {}
        self._call("cuInit", ctypes.c_uint(0))

    def version(self) -> tuple[int, int]:
        """The newest CUDA that the driver knows: major, minor."""
        number = ctypes.c_int()
        self._call("cuDriverGetVersion", ctypes.byref(number))
        return number.value // 1000, number.value % 1000 // 10

    @contextmanager
    def context(self, index: int) -> Iterator[None]:
        """Make the primary context of a device the calling thread's, for the time of a block.

        A thread that torch has not yet used has none, and then the driver does nothing for it.
        """
        if index not in self._contexts:
            device, context = ctypes.c_int(), ctypes.c_void_p()
            self._call("cuDeviceGet", ctypes.byref(device), ctypes.c_int(index))
            self._call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
            self._contexts[index] = context
        self._call("cuCtxPushCurrent_v2", self._contexts[index])
        try:
            yield
        finally:
            self._call("cuCtxPopCurrent_v2", ctypes.byref(ctypes.c_void_p()))

    def load(self, code: bytes, names: tuple[str, ...]) -> dict[str, Kernel]:
        """Load a cubin or PTX onto the device of the current context, and find its kernels there.

        What is loaded stays for the life of the process. Drivers put it off to the first use of each kernel, which
        could fall into the capture of a graph: so each is asked for something that needs it loaded.

        Parameters
        ----------
        code : bytes
        names : tuple of str

        Raises
        ------
        DriverError
            If the device can't run the code or a kernel is missing.
        """
        module = ctypes.c_void_p()
        log = ctypes.create_string_buffer(LOG_BYTES)
        options = (ctypes.c_int * 2)(JIT_ERROR_LOG_BUFFER, JIT_ERROR_LOG_BUFFER_SIZE_BYTES)
        values = (ctypes.c_void_p * 2)(ctypes.addressof(log), LOG_BYTES)
        image = ctypes.create_string_buffer(code)  # with a zero after it, where the driver ends PTX
        self._call(
            "cuModuleLoadDataEx", ctypes.byref(module), image, ctypes.c_uint(2), options, values, log=log
        )
        kernels = {}
        for name in names:
            handle, registers = ctypes.c_void_p(), ctypes.c_int()
            self._call("cuModuleGetFunction", ctypes.byref(handle), module, name.encode(), about=name)
            self._call(
                "cuFuncGetAttribute",
                ctypes.byref(registers),
                ctypes.c_int(FUNC_ATTRIBUTE_NUM_REGS),
                handle,
                about=name,
            )
            kernels[name] = Kernel(name, handle)
        return kernels

    def launch(
        self,
        kernel: Kernel,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        shared_bytes: int,
        stream: int,
        arguments: ctypes.Structure,
    ) -> None:
        """Queue a kernel on a stream of the current context's device.

        Parameters
        ----------
        kernel : Kernel
        grid, block : tuple of three int
            Blocks, and threads of a block, along x, y, z.
        shared_bytes : int
            Dynamic shared memory of a block.
        stream : int
            Its handle; 0 is the default stream.
        arguments : ctypes.Structure
            The kernel's only parameter; it is copied before this returns.

        Raises
        ------
        DriverError
            If it can't be launched, or if something that ran before has failed.
        """
        about = f"{kernel.name}, grid {grid}, block {block}, {shared_bytes} bytes of shared memory"
        if shared_bytes > kernel.shared_bytes:
            self._call(
                "cuFuncSetAttribute",
                kernel.handle,
                ctypes.c_int(FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES),
                ctypes.c_int(shared_bytes),
                about=about,
            )
            kernel.shared_bytes = shared_bytes
        parameters = (ctypes.c_void_p * 1)(ctypes.addressof(arguments))
        sizes = [ctypes.c_uint(size) for size in (*grid, *block, shared_bytes)]
        stream_handle = ctypes.c_void_p(stream)
        self._call("cuLaunchKernel", kernel.handle, *sizes, stream_handle, parameters, None, about=about)

    def _call(
        self,
        function: str,
        *arguments: object,
        about: str = "",
        log: "ctypes.Array[ctypes.c_char] | None" = None,
    ) -> None:
        status = getattr(self._library, function)(*arguments)
        if status != SUCCESS:
            name = self._text("cuGetErrorName", status) or f"error {status}"
            explained = self._text("cuGetErrorString", status)
            said = log.value.decode(errors="replace").strip() if log is not None else ""
            message = f"{function}: {name}" + (f" ({explained})" if explained else "")
            raise DriverError("; ".join(part for part in (message, about, said) if part))

    def _text(self, function: str, status: int) -> str:
        text = ctypes.c_char_p()
        known = getattr(self._library, function)(ctypes.c_int(status), ctypes.byref(text)) == SUCCESS
        return (text.value or b"").decode(errors="replace") if known else ""


@cache
def cuda_driver() -> CudaDriver:
    """The driver of this machine.

    Raises
    ------
    OSError
        If there is none.
    DriverError
        If it can't be used.
    """
    return CudaDriver(ctypes.CDLL(LIBRARY))
