"""How wide the vectors of the compiled kernels are, by the CPU that they are compiled for.

No module that lays out memory for the kernels imports numba: where compiled kernels are kept, it is not needed.
"""

import os

from .host_cpu import cpu_features

N = 64  # channels a head
LANES_VARIABLE = "ARWKV_VECTOR_LANES"  # for tests and measurements


def _values() -> int:
    """Widest block whose accumulators and state fit into the vector registers: two registers a vector on x86."""
    if forced := os.environ.get(LANES_VARIABLE):
        if forced not in ("8", "16", "32"):
            raise ValueError(
                f"{LANES_VARIABLE}: expected 8, 16 or 32, found {forced!r}; unset it to go by the CPU"
            )
        return int(forced)
    features = {name[1:] for name in cpu_features().split(",") if name.startswith("+")}
    if "avx512f" in features:
        return 32
    if "avx2" in features or "neon" in features:
        return 16
    return 8


VALUES = _values()  # float32 in a vector
BLOCKS = N // VALUES
HALF = VALUES // 2  # float32 in a half vector: one register on x86
