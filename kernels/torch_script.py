"""Functions of tensors that run without Python, where torch can compile them.

Between two operations, a thread that runs Python code has to wait until no other does. A scan from chunk to chunk is
hundreds of operations of a few microseconds, so two threads would do little but wait for one another.
"""

import contextlib
import logging
import threading
import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar, cast

import torch

logger = logging.getLogger("arwkv.kernels")

Function = TypeVar("Function", bound=Callable[..., object])


_lock = threading.Lock()  # what hides warnings hides and shows those of all threads


def compiled(function: Function) -> Function | None:
    """TorchScript of a function that keeps to what that knows; None where it can't be had.

    Torch is to give it up some day, newer versions of Python lack it already, and it needs the source at hand. Whatever
    the reason, the function itself computes the same.
    """
    with _lock:
        return _compiled(function)


@lru_cache(maxsize=16)
def _compiled(function: Function) -> Function | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it is given up
            script = torch.jit.script(function)
    except Exception as error:  # there is no list of what goes wrong with a compiler that isn't kept any more
        reason = " ".join(str(error).split())[:300]
        logger.info("backend torch: TorchScript can't be had, steps are taken from Python: %s", reason)
        return None
    # Where it is turned off, by PYTORCH_JIT=0, functions come back as they were.
    return cast(Function, script) if isinstance(script, torch.jit.ScriptFunction) else None


def as_written() -> contextlib.AbstractContextManager[None]:
    """No second translation of what is compiled: it takes half a second, for operations that leave nothing to gain."""
    context: contextlib.AbstractContextManager[None] = torch.jit.optimized_execution(False)  # type: ignore[attr-defined]
    return context  # which torch documents, but does not list
