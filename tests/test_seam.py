"""Windows over blocks: the same as over the whole, whatever the blocks are."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from arwkv_core.seam import stretches


def windows(samples: np.ndarray, hop: int, window: int) -> list[np.ndarray]:
    return [samples[start : start + window] for start in range(0, len(samples) - window + 1, hop)]


@given(
    hop=st.integers(1, 12),
    more=st.integers(0, 20),
    blocks=st.lists(st.integers(0, 70), max_size=12),
    kind=st.sampled_from(["float32", "float64"]),
)
def test_blocks_give_the_windows_of_the_whole(hop: int, more: int, blocks: list[int], kind: str) -> None:
    window = hop + more
    whole = np.arange(sum(blocks), dtype=kind)
    found: list[np.ndarray] = []
    held = np.empty(0, np.float32)
    start = 0
    for size in blocks:
        block = np.repeat(whole[start : start + size], 2)[::2]  # not side by side in memory
        start += size
        for part in stretches(held, block, hop, window):
            assert part.dtype == np.float32
            assert part.flags.c_contiguous
            here = windows(part, hop, window)
            found += here
            rest = part[len(here) * hop :]
        held = rest.copy()
        assert len(held) < window  # nothing is held for longer than it is needed
    expected = windows(whole, hop, window)
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
