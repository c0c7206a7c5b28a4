"""Items made ahead in a thread: in order, with their exceptions, and no thread left behind."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from arwkv_core.prefetch import prefetch


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    for _ in range(100):
        if not any(thread.name == "arwkv-prefetch" for thread in threading.enumerate()):
            return
        time.sleep(0.02)
    pytest.fail("a thread is left")


@pytest.mark.parametrize("depth", [1, 3, 1000])
@pytest.mark.parametrize("items", [0, 1, 500])
def test_order_is_kept(depth: int, items: int) -> None:
    assert list(prefetch(range(items), depth)) == list(range(items))


def test_values_of_any_kind_come_through() -> None:
    values = [None, ValueError("a value, not raised"), StopIteration(), 0, ()]
    assert list(prefetch(values)) == values


def test_an_exception_comes_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield from (1, 2)
        raise OSError("disk")

    stream = prefetch(items(), 1)
    assert [next(stream), next(stream)] == [1, 2]
    with pytest.raises(OSError, match="disk"):
        next(stream)
    assert list(stream) == []


def test_no_more_than_depth_is_made_ahead() -> None:
    made = []

    def items() -> Iterator[int]:
        for item in range(100):
            made.append(item)
            yield item

    with closing(prefetch(items(), 3)) as stream:
        next(stream)
        time.sleep(0.3)
        assert len(made) <= 1 + 3 + 1  # given, ready, in work


def test_leaving_early_closes_the_source() -> None:
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    for _ in prefetch(items(), 2):
        break
    assert closed.wait(5)

    closed.clear()
    stream = prefetch(items(), 2)
    next(stream)
    stream.close()
    assert closed.is_set()
    with pytest.raises(StopIteration):
        next(stream)


def test_a_source_that_was_never_asked_starts_no_thread() -> None:
    prefetch(range(3), 2)
    assert not any(thread.name == "arwkv-prefetch" for thread in threading.enumerate())


def test_depth_is_checked_at_once() -> None:
    with pytest.raises(ValueError, match="depth"):
        prefetch([], 0)


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
@pytest.mark.parametrize("slow_side", ["producer", "consumer"])
def test_ctrl_c_ends_the_program(slow_side: str) -> None:
    program = f"""
import time, signal
from contextlib import closing
from arwkv_core.prefetch import prefetch
signal.signal(signal.SIGINT, signal.default_int_handler)
def items():
    while True:
        time.sleep({0.2 if slow_side == "producer" else 0})
        yield 1
with closing(prefetch(items(), 2)) as stream:
    for item in stream:
        print("item", flush=True)
        time.sleep({0 if slow_side == "producer" else 60})
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        child.send_signal(2)
        _, errors = child.communicate(timeout=20)
    assert "KeyboardInterrupt" in errors
