"""How the kernels of ``cuda/bi_wkv7.cu`` are launched: which, over what grid, with what arguments and scratch memory.

Nothing here needs CUDA: an executor runs each `Launch`, the driver's on a GPU, an emulator's in the tests. All that
the kernels write is allocated here with torch, on the inputs' device, and nothing waits for the device, so that the
calls can be captured into a CUDA graph. `reference.py` says what is computed, the kernels' source how.
"""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .reference import Gradients

SOURCE = Path(__file__).parent / "cuda" / "bi_wkv7.cu"

# As in the source.
N = 64
TILE = 16  # tokens in shared memory at a time, and from one kept state to the next
SWEEP_THREADS, BACKWARD_THREADS = 128, 256
WIDE, NARROW = 64, 16  # rows of the state of a block
TYPES = {torch.float32: 0, torch.bfloat16: 1, torch.float16: 2}
DIRECTIONS = 2
NAMES = ("r", "w", "k", "v", "a", "b", "gate")
SUMS_OVER_ROWS = ("k", "b", "a", "w")  # in the order in which the kernel lists their gradients

SUFFIXES = {torch.float32: "f32", torch.bfloat16: "bf16", torch.float16: "f16"}
BACKWARD = "bi_wkv7_backward"
KERNELS: tuple[str, ...] = tuple(
    f"{name}_{suffix}"
    for name in ("bi_wkv7_forward", "bi_wkv7_forward_narrow", "bi_wkv7_states", BACKWARD)
    for suffix in SUFFIXES.values()
)


class _Tensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        *((name, ctypes.c_longlong) for name in ("batch", "token", "head", "channel")),
        ("type", ctypes.c_int),
        ("vector", ctypes.c_int),
    ]


class _Result(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("type", ctypes.c_int), ("unused", ctypes.c_int)]


class _Gradient(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("partial", ctypes.c_void_p),
        ("type", ctypes.c_int),
        ("unused", ctypes.c_int),
    ]


_RANGES: list[tuple[str, Any]] = [
    *((name, ctypes.c_longlong) for name in ("tokens", "batch", "heads")),
    ("begin", ctypes.c_longlong * DIRECTIONS),
    ("end", ctypes.c_longlong * DIRECTIONS),
]


class SweepArguments(ctypes.Structure):
    """Of the ``forward`` and ``states`` kernels; what each means stands in the source."""

    _fields_ = [
        *((name, _Tensor) for name in NAMES),
        ("y", _Result),
        *((name, ctypes.c_void_p) for name in ("before", "after", "states", "sums")),
        *_RANGES,
        *((name, ctypes.c_int) for name in ("directions", "first_direction", "fused", "unused")),
    ]


class BackwardArguments(ctypes.Structure):
    """Of the ``backward`` kernel."""

    _fields_ = [
        ("inputs", _Tensor * len(NAMES)),  # dy r k a b w v
        ("gate", _Tensor),
        ("over_rows", _Gradient * len(SUMS_OVER_ROWS)),
        *((name, _Gradient) for name in ("dr", "dv", "dgate")),
        *((name, ctypes.c_void_p) for name in ("states", "sums", "carry")),
        *_RANGES,
        ("second", ctypes.c_int),
        ("unused", ctypes.c_int),
    ]


@dataclass(frozen=True)
class Launch:
    """One launch of a kernel.

    Attributes
    ----------
    kernel : str
        One of `KERNELS`.
    grid, block : tuple of int
        Blocks, and threads of a block, in x, y and z.
    shared_bytes : int
        Dynamic shared memory of a block: at most 64 KiB, which every GPU has, and gives if it is asked.
    arguments : ctypes.Structure
        The kernel's only parameter, by value. Holds addresses of tensors that live at least until the executor
        returns; torch's allocator keeps their memory for the stream after that.
    """

    kernel: str
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    shared_bytes: int
    arguments: ctypes.Structure


Executor = Callable[[Launch], None]


def forward(
    run: Executor, r: Tensor, w: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, gate: Tensor
) -> Tensor:
    """Both directions, fused; tensors as `bi_wkv7` takes them, but not float64.

    Parameters
    ----------
    run : callable
        Runs a `Launch`, in order with the others and with torch's work on the tensors.
    r, w, k, v, a, b : Tensor, ``(B, T, H, 64)``
    gate : Tensor, ``(B, T, H)``

    Returns
    -------
    Tensor, ``(B, T, H, 64)``
        Contiguous, in the dtype of v.
    """
    batch, tokens, heads, _ = r.shape
    y = empty(v.shape, v)
    arguments = _sweep_arguments(r, w, k, v, a, b)
    arguments.gate = _tensor(gate)
    arguments.y = _Result(y.data_ptr(), TYPES[y.dtype])
    state = empty((DIRECTIONS, batch, heads, N, N), r, torch.float32)
    arguments.directions = DIRECTIONS
    arguments.after = state.data_ptr()
    halfway = _halfway(tokens)
    _set_ranges(arguments, (0, halfway), (halfway, tokens))
    _run_sweep(run, "forward", arguments, r, w, k, v, a, b)
    arguments.before, arguments.after = arguments.after, None
    _set_ranges(arguments, (halfway, tokens), (0, halfway))
    arguments.fused = 1
    _run_sweep(run, "forward", arguments, r, w, k, v, a, b)
    return y


def sweep(
    run: Executor,
    r: Tensor,
    w: Tensor,
    k: Tensor,
    v: Tensor,
    a: Tensor,
    b: Tensor,
    state: Tensor,
    reverse: bool,
) -> tuple[Tensor, Tensor]:
    """One direction from a given state, which is left as it is.

    Parameters
    ----------
    run : callable
    r, w, k, v, a, b : Tensor, ``(B, T, H, 64)``
    state : Tensor, ``(B, H, 64, 64)``
        float32.
    reverse : bool
        From the last token to the first.

    Returns
    -------
    y : Tensor, ``(B, T, H, 64)``
        In the dtype of v.
    state : Tensor, ``(B, H, 64, 64)``
        After the token that came last.
    """
    y, after = empty(v.shape, v), empty(state.shape, state)
    before = state.contiguous()
    arguments = _sweep_arguments(r, w, k, v, a, b)
    arguments.y = _Result(y.data_ptr(), TYPES[y.dtype])
    arguments.before, arguments.after = before.data_ptr(), after.data_ptr()
    arguments.directions, arguments.first_direction = 1, int(reverse)
    _run_sweep(run, "forward", arguments, r, w, k, v, a, b)
    return y, after


def backward(
    run: Executor,
    dy: Tensor,
    r: Tensor,
    w: Tensor,
    k: Tensor,
    v: Tensor,
    a: Tensor,
    b: Tensor,
    gate: Tensor,
) -> Gradients:
    """Gradients of `forward` by its seven tensors, for the gradient dy of its output.

    Parameters
    ----------
    run : callable
    dy, r, w, k, v, a, b : Tensor, ``(B, T, H, 64)``
    gate : Tensor, ``(B, T, H)``

    Returns
    -------
    tuple of Tensor
        Contiguous, each in the shape and dtype of its tensor.
    """
    batch, tokens, heads, _ = r.shape
    both = (DIRECTIONS, batch, heads)
    chunks = -(-tokens // TILE)
    states = empty((*both, chunks, N, N), r, torch.float32)
    sums = empty((*both, tokens, N), r, torch.float32)
    carry = empty((*both, N, N), r, torch.float32)

    kept = _sweep_arguments(r, w, k, v, a, b)
    kept.states, kept.sums = states.data_ptr(), sums.data_ptr()
    kept.directions = DIRECTIONS
    _run_sweep(run, "states", kept, r, w, k, v, a, b)

    arguments = BackwardArguments(tokens=tokens, batch=batch, heads=heads)
    gradients = {name: empty(x.shape, x) for name, x in zip(NAMES, (r, w, k, v, a, b, gate), strict=True)}
    scratch = []
    for name, gradient in gradients.items():
        result, partial = _gradient(gradient)
        scratch.append(partial)
        if name in SUMS_OVER_ROWS:
            arguments.over_rows[SUMS_OVER_ROWS.index(name)] = result
        else:
            setattr(arguments, f"d{name}", result)
    arguments.gate = _tensor(gate)
    arguments.inputs[:] = [_tensor(x) for x in (dy, r, k, a, b, w, v)]
    arguments.states, arguments.sums, arguments.carry = (x.data_ptr() for x in (states, sums, carry))
    halfway = _halfway(tokens)
    dtype = _staged(dy, r, w, k, v, a, b)
    kernel, shared_bytes = f"{BACKWARD}_{SUFFIXES[dtype]}", backward_shared_bytes(dtype)
    grid, block = (DIRECTIONS * batch * heads, 1, 1), (BACKWARD_THREADS, 1, 1)
    for second, ranges in enumerate((((halfway, tokens), (0, halfway)), ((0, halfway), (halfway, tokens)))):
        _set_ranges(arguments, *ranges)
        arguments.second = second
        own = BackwardArguments.from_buffer_copy(arguments)
        run(Launch(kernel, grid, block, shared_bytes, own))
    del scratch  # only now may its memory be used for something else
    dr, dw, dk, dv, da, db, dgate = (gradients[name] for name in NAMES)
    return dr, dw, dk, dv, da, db, dgate


def empty(shape: tuple[int, ...] | torch.Size, like: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Contiguous memory on the device of a tensor, in its dtype or another; all that kernels write comes from here."""
    return torch.empty(shape, dtype=dtype or like.dtype, device=like.device)


def multiprocessors(device: torch.device) -> int:
    """How many there are to keep busy; 1 where that is not known."""
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 1


def _halfway(tokens: int) -> int:
    """Where the directions meet: the multiple of the tile nearest to the middle, so that no tile is cut in two."""
    return (tokens + TILE) // (2 * TILE) * TILE


def _set_ranges(arguments: SweepArguments | BackwardArguments, *ranges: tuple[int, int]) -> None:
    for direction, (begin, end) in enumerate(ranges):
        arguments.begin[direction], arguments.end[direction] = begin, end


def _tensor(x: Tensor) -> _Tensor:
    batch, token, head, channel = x.stride() if x.ndim == 4 else (*x.stride(), 1)
    steps = [stride for stride, size in zip((batch, token, head), x.shape, strict=False) if size > 1]
    addresses = (x.data_ptr(), *(stride * x.element_size() for stride in steps))
    vector = channel == 1 and all(address % 16 == 0 for address in addresses)
    return _Tensor(x.data_ptr(), batch, token, head, channel, TYPES[x.dtype], vector)


def _gradient(x: Tensor) -> tuple[_Gradient, Tensor]:
    """What tells a kernel where to write x and where the sums of the first launch, and the tensor of the latter."""
    partial = empty(x.shape, x, torch.float32) if x.dtype != torch.float32 else x
    return _Gradient(x.data_ptr(), partial.data_ptr(), TYPES[x.dtype]), partial


def _sweep_arguments(r: Tensor, w: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor) -> SweepArguments:
    """All that is the same for each kernel; both directions over all tokens."""
    batch, tokens, heads, _ = r.shape
    arguments = SweepArguments(
        *(_tensor(x) for x in (r, w, k, v, a, b)), tokens=tokens, batch=batch, heads=heads
    )
    _set_ranges(arguments, (0, tokens), (0, tokens))
    return arguments


def _run_sweep(run: Executor, name: str, arguments: SweepArguments, *inputs: Tensor) -> None:
    """Choose the kernel by the tensors' dtypes, and by how many blocks there would be, and launch it."""
    dtype = _staged(*inputs)
    blocks = arguments.directions * arguments.batch * arguments.heads
    rows = WIDE
    if name == "forward" and blocks * (WIDE // NARROW) <= multiprocessors(inputs[0].device):
        name, rows = "forward_narrow", NARROW
    run(
        Launch(
            f"bi_wkv7_{name}_{SUFFIXES[dtype]}",
            (blocks * (N // rows), 1, 1),
            (SWEEP_THREADS, 1, 1),
            sweep_shared_bytes(dtype, rows),
            SweepArguments.from_buffer_copy(arguments),  # ours goes on to the next launch
        )
    )


def _staged(*inputs: Tensor) -> torch.dtype:
    """The dtype in which tensors lie in shared memory: their own if it is one and the same."""
    dtypes = {x.dtype for x in inputs}
    return dtypes.pop() if len(dtypes) == 1 else torch.float32


def sweep_shared_bytes(dtype: torch.dtype, rows: int) -> int:
    """Shared memory of a block that owns so many rows of the state.

    Two tiles of d in float32 and of r, k, a, b and the block's rows of v in their own dtype.
    """
    return 2 * TILE * (4 * N + dtype.itemsize * (4 * N + rows))


def backward_shared_bytes(dtype: torch.dtype) -> int:
    """Shared memory of a block of the backward.

    Two tiles of d in float32 and of dy, r, k, a, b in their own dtype; one of v, and in float32 one of S a and one of
    its gradient; two of the directions' shares in y, and each warp's part of their gradient.
    """
    warps = BACKWARD_THREADS // 32
    return TILE * (2 * N * (4 + 5 * dtype.itemsize) + N * (dtype.itemsize + 4 + 4) + 4 * (2 + warps))
