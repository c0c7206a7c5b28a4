"""Calls of the CUDA driver: which, in what order, with what numbers, and what is made of its errors."""

import ctypes

import pytest
from cuda_fakes import FakeDriverLibrary

from arwkv_kernels.cuda_driver import LOG_BYTES, CudaDriver, DriverError, Kernel


class Arguments(ctypes.Structure):
    _fields_ = (("data", ctypes.c_void_p), ("count", ctypes.c_longlong), ("factor", ctypes.c_float))


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> FakeDriverLibrary:
    return FakeDriverLibrary(tmp_path_factory.mktemp("driver"))


@pytest.fixture
def driver(library: FakeDriverLibrary) -> CudaDriver:
    library.forget()
    driver = CudaDriver(library.library)
    assert library.calls() == [("cuInit", 0)]
    library.forget()
    return driver


@pytest.fixture
def kernel(driver: CudaDriver, library: FakeDriverLibrary) -> Kernel:
    with driver.context(1):
        kernel = driver.load(b"code", ("four", "scale"))["scale"]
    library.forget()
    return kernel


def test_the_version_is_split(driver: CudaDriver, library: FakeDriverLibrary) -> None:
    for number, version in ((13000, (13, 0)), (12040, (12, 4)), (11080, (11, 8))):
        library.library.fake_version(number)
        assert driver.version() == version


def test_the_primary_context_is_the_threads_for_a_block_only(
    driver: CudaDriver, library: FakeDriverLibrary
) -> None:
    with pytest.raises(ZeroDivisionError), driver.context(1):
        raise ZeroDivisionError
    assert [call[0] for call in library.calls()][-2:] == ["cuCtxPushCurrent_v2", "cuCtxPopCurrent_v2"]
    with driver.context(1), driver.context(0):
        pass
    assert library.calls("cuDeviceGet") == [(1,), (0,)]
    assert library.calls("cuDevicePrimaryCtxRetain") == [(11,), (10,)]  # once for each
    assert library.calls("cuCtxPushCurrent_v2") == [(101,), (101,), (100,)]
    assert len(library.calls("cuCtxPopCurrent_v2")) == 3


def test_kernels_are_loaded_where_the_context_is_and_at_once(
    driver: CudaDriver, library: FakeDriverLibrary
) -> None:
    with driver.context(1):
        kernels = driver.load(b"some code", ("four", "scale"))
    assert library.library.fake_image() == b"some code"
    assert library.calls("cuModuleLoadDataEx") == [(101, LOG_BYTES)]
    assert library.calls("cuModuleGetFunction") == [(1101, 4), (1101, 5)]
    assert [call[1] for call in library.calls("cuFuncGetAttribute")] == [4, 5]
    assert [(name, kernel.handle.value) for name, kernel in kernels.items()] == [("four", 4), ("scale", 5)]


def test_a_launch_has_its_geometry_stream_and_arguments(
    driver: CudaDriver, library: FakeDriverLibrary, kernel: Kernel
) -> None:
    arguments = Arguments(0x7F00ABCDEF01, -5, 0.5)
    library.expect(ctypes.sizeof(arguments))
    stream = 0x7F0012345678
    with driver.context(1):
        driver.launch(kernel, (70000, 2, 3), (128, 4, 5), 48 * 1024, stream, arguments)
    assert library.calls("cuLaunchKernel") == [(101, 5, 70000, 2, 3, 128, 4, 5, 49152, stream, 0)]
    assert library.parameters() == bytes(arguments)
    assert library.calls("cuFuncSetAttribute") == []


def test_more_shared_memory_is_asked_for_before_it_is_used(
    driver: CudaDriver, library: FakeDriverLibrary, kernel: Kernel
) -> None:
    with driver.context(1):
        for shared_bytes in (50_000, 49_153, 60_000, 60_000, 0):
            driver.launch(kernel, (1, 1, 1), (32, 1, 1), shared_bytes, 0, Arguments())
    names = [call[0] for call in library.calls()]
    assert library.calls("cuFuncSetAttribute") == [(5, 8, 50_000), (5, 8, 60_000)]
    assert names.index("cuFuncSetAttribute") < names.index("cuLaunchKernel")


def test_a_launch_that_fails_says_what_was_launched(
    driver: CudaDriver, library: FakeDriverLibrary, kernel: Kernel
) -> None:
    library.fail("cuLaunchKernel", 1)
    expected = (
        r"cuLaunchKernel: CUDA_ERROR_INVALID_VALUE \(invalid argument\); "
        r"scale, grid \(1, 2, 3\), block \(2048, 1, 1\), 16 bytes of shared memory"
    )
    with pytest.raises(DriverError, match=expected), driver.context(0):
        driver.launch(kernel, (1, 2, 3), (2048, 1, 1), 16, 0, Arguments())
    assert library.calls()[-1] == ("cuCtxPopCurrent_v2",)


def test_shared_memory_that_there_is_not_is_an_error(
    driver: CudaDriver, library: FakeDriverLibrary, kernel: Kernel
) -> None:
    library.fail("cuFuncSetAttribute", 1)
    with pytest.raises(DriverError, match=r"cuFuncSetAttribute: .*; scale, .*400000 bytes of shared memory"):
        driver.launch(kernel, (1, 1, 1), (32, 1, 1), 400_000, 0, Arguments())
    assert library.calls("cuLaunchKernel") == []
    assert kernel.shared_bytes < 400_000


def test_code_that_can_not_be_loaded_says_why(driver: CudaDriver, library: FakeDriverLibrary) -> None:
    library.fail("cuModuleLoadDataEx", 218)
    expected = r"CUDA_ERROR_INVALID_PTX \(a PTX JIT compilation failed\); ptxas error: a made-up one"
    with pytest.raises(DriverError, match=expected):
        driver.load(b"code", ("scale",))


def test_a_kernel_that_is_not_there_is_named(driver: CudaDriver, library: FakeDriverLibrary) -> None:
    library.fail("cuModuleGetFunction", 500)
    with pytest.raises(DriverError, match=r"cuModuleGetFunction: error 500; missing$"):
        driver.load(b"code", ("missing",))


@pytest.mark.parametrize(
    "function", ["cuDeviceGet", "cuDevicePrimaryCtxRetain", "cuCtxPushCurrent_v2", "cuDriverGetVersion"]
)
def test_no_status_is_passed_over(driver: CudaDriver, library: FakeDriverLibrary, function: str) -> None:
    library.fail(function, 1)
    with pytest.raises(DriverError, match=f"{function}: CUDA_ERROR_INVALID_VALUE"), driver.context(0):
        driver.version()


def test_a_driver_that_can_not_start_is_an_error(library: FakeDriverLibrary) -> None:
    library.forget()
    library.fail("cuInit", 1)
    with pytest.raises(DriverError, match="cuInit"):
        CudaDriver(library.library)
