"""Let one backend of the kernel compute, whatever else there is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from arwkv_kernels.registry import ENVIRONMENT_VARIABLE, SLOWEST


@contextmanager
def forced_backend(name: str) -> Iterator[None]:
    """Set ``ARWKV_BACKEND`` for the time of a block."""
    before = os.environ.get(ENVIRONMENT_VARIABLE)
    os.environ[ENVIRONMENT_VARIABLE] = name
    try:
        yield
    finally:
        if before is None:
            del os.environ[ENVIRONMENT_VARIABLE]
        else:
            os.environ[ENVIRONMENT_VARIABLE] = before


PLAIN = SLOWEST
"""The backend that is the reference itself."""
