"""Whether log-mels are what their definition says."""

from __future__ import annotations

from collections.abc import Iterator

from .check import Check

SECTION = "features"
WAY_OUT = (
    "install torch and numpy again, in the versions that pip chooses: pip install --force-reinstall arwkv"
)


def check_features() -> Iterator[Check]:
    """Hold three seconds of tones and noise against the plain filter bank in float64."""
    from arwkv_core.benchmark.plain_features import TOLERANCE, largest_error

    error = largest_error()
    found = f"at most {error:.1e} off the plain filter bank, {TOLERANCE:g} allowed"
    right = error <= TOLERANCE
    yield Check(SECTION, "log-mels", found, right, "" if right else WAY_OUT)
