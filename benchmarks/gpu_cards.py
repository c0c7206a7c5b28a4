"""Graphics cards as the cost model sees them, and how many blocks of a kernel each of their multiprocessors holds."""

from dataclasses import dataclass

REGISTERS = 65536
"""Of 32 bits, of a multiprocessor; the same since Kepler."""

REGISTER_UNIT = 256
"""Registers are given to a warp in pieces of so many."""

RESERVED_SHARED_BYTES = 1024
"""Of each block, taken by the system, on sm_80 and later."""

WARP = 32
SCHEDULERS = 4
"""Of a multiprocessor; each issues for a quarter of the warps."""

FMA_CYCLES = 4
SHUFFLE_CYCLES = 23
SHARED_CYCLES = 29
BARRIER_CYCLES = 30
DRAM_CYCLES = 550
LAUNCH_SECONDS = 3e-6


@dataclass(frozen=True)
class Card:
    """A card's data sheet.

    Attributes
    ----------
    name, arch : str
    multiprocessors : int
    hertz : float
        Boost clock.
    fmas : int
        Fused multiply-adds of float32 a cycle and multiprocessor.
    bandwidth : float
        Of the card's memory, bytes a second.
    threads, blocks, shared_bytes : int
        What a multiprocessor holds at most.
    """

    name: str
    arch: str
    multiprocessors: int
    hertz: float
    fmas: int
    bandwidth: float
    threads: int
    blocks: int
    shared_bytes: int

    def resident(self, warps: int, registers: int, shared_bytes: int) -> int:
        """Blocks of so many warps, registers a thread and bytes that a multiprocessor holds at once.

        Raises
        ------
        ValueError
            If not even one fits.
        """
        a_warp = -(-registers * WARP // REGISTER_UNIT) * REGISTER_UNIT
        found = min(
            self.blocks,
            self.threads // (warps * WARP),
            REGISTERS // (a_warp * warps),
            self.shared_bytes // (shared_bytes + RESERVED_SHARED_BYTES),
        )
        if not found:
            raise ValueError(
                f"{self.name}: a block of {warps} warps, {registers} registers a thread and {shared_bytes} bytes of "
                "shared memory fits on no multiprocessor"
            )
        return found


CARDS = (
    Card("A100 SXM 80 GB", "sm_80", 108, 1.410e9, 64, 2.039e12, 2048, 32, 164 << 10),
    Card("H100 SXM", "sm_90", 132, 1.980e9, 128, 3.352e12, 2048, 32, 228 << 10),
    Card("RTX 4090", "sm_89", 128, 2.520e9, 128, 1.008e12, 1536, 24, 100 << 10),
)

ASSUMPTIONS = f"""
Clock, multiprocessors, bandwidth and what a multiprocessor holds are those of NVIDIA's data sheets and programming
guide: the boost clock, held throughout, and every byte at the full bandwidth.

Each tensor is read from the card's memory once a launch and direction; what several blocks of a head read again comes
from the cache, in which nothing is left from one launch to the next.

A dependent multiply-add takes {FMA_CYCLES} cycles, a shuffle {SHUFFLE_CYCLES}, a read of shared memory
{SHARED_CYCLES}, a barrier {BARRIER_CYCLES}, a read of the card's memory {DRAM_CYCLES}: round numbers, about what
micro-benchmarks find, for all cards.

Only multiply-adds count as work of the multiprocessors, each warp on one of four schedulers: loads, stores, addresses
and conversions are left out, and so is the time that shared memory needs.

A launch takes {LAUNCH_SECONDS * 1e6:.0f} µs; launches do not overlap.

Besides, it takes as long as the slowest of three: memory, multiply-adds, and the chain of operations that wait for one
another from token to token. All else is left out: real times are longer, those of both paths.
"""
"""A paragraph each."""


def paragraphs(text: str) -> list[str]:
    """Each as one line."""
    return [" ".join(paragraph.split()) for paragraph in text.strip().split("\n\n")]
