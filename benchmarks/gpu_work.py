"""What the kernels of one call do, launch by launch: bytes, multiply-adds, chains. Ours, and the published path.

Ours is recorded: `cuda_launch` itself is called, with an executor that writes down what it is given, and tensors that
take no memory. What a kernel reads and writes for those arguments stands here by hand, from its source.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import torch
from gpu_cards import BARRIER_CYCLES, DRAM_CYCLES, FMA_CYCLES, SHARED_CYCLES, SHUFFLE_CYCLES, WARP
from torch import Tensor

from arwkv_kernels import cuda_launch
from arwkv_kernels.cuda_launch import BACKWARD, TILE, Launch, N

STATE_BYTES = 4 * N * N
SIZES = {number: dtype.itemsize for dtype, number in cuda_launch.TYPES.items()}

FORWARD_FMAS = 5 * N * N
"""A token, head and direction: three for the state, one for y, one for the next S a."""

BACKWARD_FMAS = 83 * N * N // 4
"""By rows 3 for G, one for ds and one for dv; by columns the state again 2.5 times at 3 each, 3 for G again, 4 for dk,
db, da and dw, and for dr one, or 2 for one token in four."""

FORWARD_CHAIN = (2 + 8) * FMA_CYCLES + 3 * (SHUFFLE_CYCLES + FMA_CYCLES)
"""S a waits for the state (2), for a lane's eight keys (8) and for three shuffles with their additions."""

BACKWARD_BARRIERS = 2
"""Of a block and tile; the forward has one, which no token waits for."""

BACKWARD_CHAIN = (
    (2 + 8) * FMA_CYCLES  # by rows: G, ds over a lane's eight keys
    + 3 * (SHUFFLE_CYCLES + FMA_CYCLES)  # ds over 8 lanes
    + 5 * 3 * FMA_CYCLES // 2  # by columns: the state, 2.5 times
    + 3 * FMA_CYCLES  # G again; no token waits for the sums over columns
    + BACKWARD_BARRIERS * (BARRIER_CYCLES + SHARED_CYCLES) // TILE
)

PUBLISHED_WARPS = 2
PUBLISHED_REGISTERS = {"forward": 96, "backward": 255}
"""Assumed: 64 of them hold a row of the state, or 192 a row of it, of its gradient and of the latter's transpose."""

PUBLISHED_FORWARD_CHAIN = (
    DRAM_CYCLES + 2 * BARRIER_CYCLES + SHARED_CYCLES + (N + 2 + N) * FMA_CYCLES
)  # loads begin behind a barrier and are waited for; then S a and y, each a sum of 64 by one thread

PUBLISHED_BACKWARD_CHAIN = DRAM_CYCLES + 4 * BARRIER_CYCLES + SHARED_CYCLES + (3 * N + 4) * FMA_CYCLES
PUBLISHED_BACKWARD_FMAS = 16 * N * N
"""3 for the state, which is divided by its decay, and 13 for its gradient, which is kept twice, and the others."""

ASSUMPTIONS = f"""
Multiply-adds of a token, head and direction: {FORWARD_FMAS:,} forward; backward {BACKWARD_FMAS:,} in ours and
{PUBLISHED_BACKWARD_FMAS:,} in the published kernel.

A tile of {TILE} tokens has one barrier forward and {BACKWARD_BARRIERS} backward.

Cycles from a token to the next: {FORWARD_CHAIN} forward and {BACKWARD_CHAIN} backward in ours, whose loads are on their
way a tile ahead; {PUBLISHED_FORWARD_CHAIN} and {PUBLISHED_BACKWARD_CHAIN} in the published kernel, which waits for its
loads at every token.

The published kernel has {PUBLISHED_WARPS} warps a block; its registers are assumed to be
{PUBLISHED_REGISTERS["forward"]} a thread forward and {PUBLISHED_REGISTERS["backward"]} backward.
"""


@dataclass(frozen=True)
class Work:
    """One launch.

    Attributes
    ----------
    name : str
    bytes : int
        Read from and written to the card's memory.
    blocks, warps : int
        Blocks, and warps of each; 0 for passes over tensors of which only bytes count.
    shared_bytes, registers : int
        Of a block; of a thread, or 0 where the compiler's report has them.
    tokens : int
        One after the other, in a block.
    fmas : int
        Of a block and token.
    chain : int
        Cycles from a token to the next.
    """

    name: str
    bytes: int
    blocks: int = 0
    warps: int = 0
    shared_bytes: int = 0
    registers: int = 0
    tokens: int = 0
    fmas: int = 0
    chain: int = 0


def ours(
    batch: int, tokens: int, heads: int, dtype: torch.dtype, multiprocessors: int, gradients: bool = False
) -> list[Work]:
    """The launches of our forward, and with gradients also those of the backward."""
    launches: list[Launch] = []
    r, w, k, v, a, b, dy = (_weightless((batch, tokens, heads, N), dtype) for _ in range(7))
    gate = _weightless((batch, tokens, heads), dtype)
    with _recording(multiprocessors):
        cuda_launch.forward(launches.append, r, w, k, v, a, b, gate)
        if gradients:
            cuda_launch.backward(launches.append, dy, r, w, k, v, a, b, gate)
    return [_work_of(launch) for launch in launches]


def _weightless(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """A tensor of any size whose elements are all the same one."""
    return torch.empty(1, dtype=dtype).expand(shape)


@contextmanager
def _recording(multiprocessors: int) -> Iterator[None]:
    def empty(shape: Any, like: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        return _weightless(tuple(shape), dtype or like.dtype)

    def known(device: torch.device) -> int:
        return multiprocessors

    with (
        mock.patch.object(cuda_launch, "empty", empty),
        mock.patch.object(cuda_launch, "multiprocessors", known),
    ):
        yield


def _work_of(launch: Launch) -> Work:
    arguments: Any = launch.arguments
    backward = launch.kernel.startswith(BACKWARD)
    directions = range(2) if backward else range(arguments.directions)
    first = 0 if backward else arguments.first_direction
    lengths = [arguments.end[first + i] - arguments.begin[first + i] for i in directions]
    sequences = arguments.batch * arguments.heads
    chunks = sum(-(-length // TILE) for length in lengths)
    if backward:
        of_token, states = _backward_bytes(arguments), chunks + len(lengths)  # G goes from launch to launch
    elif arguments.states:
        of_token, states = _tensors(arguments, "wkvab") + 4 * N, chunks
    else:
        of_token = _tensors(arguments, "rwkvab") + _output_bytes(arguments)
        states = len(lengths) * (bool(arguments.before) + bool(arguments.after))
    share = N * len(lengths) * sequences // launch.grid[0]  # rows of the state that a block has
    return Work(
        launch.kernel,
        sequences * (sum(lengths) * of_token + states * STATE_BYTES),
        launch.grid[0],
        launch.block[0] // WARP,
        launch.shared_bytes,
        0,
        max(lengths),
        (BACKWARD_FMAS if backward else FORWARD_FMAS) * share // N,
        BACKWARD_CHAIN if backward else FORWARD_CHAIN,
    )


def _tensors(arguments: Any, names: str) -> int:
    return sum(N * SIZES[getattr(arguments, name).type] for name in names)


def _output_bytes(arguments: Any) -> int:
    """Of y, a token and head; of the other direction's y, which lies in its place, and of the gate that mixes them."""
    result = N * SIZES[arguments.y.type]
    return result + (result + SIZES[arguments.gate.type] if arguments.fused else 0)


def _backward_bytes(arguments: Any) -> int:
    """Of a token and head, without states: seven inputs, the gate, S a, the first launch's sums, the results."""
    read = sum(N * SIZES[x.type] for x in arguments.inputs) + SIZES[arguments.gate.type] + 4 * N
    rows = [*arguments.over_rows, arguments.dr, arguments.dv]
    sums = 4 * N * len(rows) + 4
    results = sum(N * SIZES[x.type] for x in rows) + SIZES[arguments.dgate.type]
    return read + sums + (results if arguments.second else 0)


def published(batch: int, tokens: int, heads: int, dtype: torch.dtype, gradients: bool = False) -> list[Work]:
    """The causal training kernel over inputs that are concatenated with flipped copies, as the published model has it.

    The kernel: a block of 64 threads for each head and sequence, a thread for each row of the state, which is written
    every 16 tokens, as S a is at every token. Around it torch flips and concatenates the six inputs, flips one half of
    the result and mixes the halves, one pass over memory each; for gradients the same backwards.
    """
    row = N * dtype.itemsize  # of a tensor, a token and head
    places, steps = batch * tokens * heads, -(-tokens // TILE) * TILE  # the kernel wants whole chunks
    kept = 4 * N + STATE_BYTES // TILE  # S a, and a share of a state
    kernel = (2 * batch * heads, PUBLISHED_WARPS)
    works = [Work("flip", places * 2 * row) for _ in range(6)]
    works += [Work("concatenate", places * 4 * row) for _ in range(6)]
    works.append(
        Work(
            "causal forward",
            2 * batch * heads * steps * (7 * row + kept),
            *kernel,
            5 * 4 * N,
            PUBLISHED_REGISTERS["forward"],
            steps,
            FORWARD_FMAS,
            PUBLISHED_FORWARD_CHAIN,
        )
    )
    works += [Work("flip half", places * 2 * row)]
    works += [Work("scale", places * 2 * row) for _ in range(2)]
    works += [Work("add", places * 3 * row)]
    if not gradients:
        return works
    works += [Work("scale", places * 2 * row) for _ in range(2)]
    works += [
        Work(name, places * size * row) for _ in range(2) for name, size in (("multiply", 3), ("sum", 1))
    ]
    works += [Work("flip half", places * 2 * row), Work("concatenate", places * 4 * row)]
    works.append(
        Work(
            "causal backward",
            2 * batch * heads * steps * (13 * row + kept),
            *kernel,
            8 * 4 * N,
            PUBLISHED_REGISTERS["backward"],
            steps,
            PUBLISHED_BACKWARD_FMAS,
            PUBLISHED_BACKWARD_CHAIN,
        )
    )
    works += [
        Work(name, places * size * row) for _ in range(6) for name, size in (("flip half", 2), ("add", 3))
    ]
    return works
