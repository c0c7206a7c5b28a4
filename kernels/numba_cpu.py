"""The ``numba`` backend: tensors in and out of the compiled loops."""

import numpy as np
import torch
from torch import Tensor

from . import backward_layout, forward_layout, one_way_layout, part_sum_layout
from .huge_pages import fresh
from .layout import BFLOAT16, FLOAT32, TENSOR_WORDS
from .numba_cache import kernel
from .object_code import Kernel
from .reference import Gradients
from .threads import run_on_threads
from .vector_width import BLOCKS, VALUES, N
from .workspace import workspace

# Where the kernels stand: modules that are imported only to compile them.
FORWARD = ".numba_forward", "forward_tasks"
ONE_WAY = ".numba_one_way", "one_way_tasks"
BACKWARD = ".numba_backward", "backward_tasks"
PART_SUM = ".numba_part_sum", "part_sums"

REPEATED = 0.1  # of a task: the gathering of the inputs
REPEATED_BACKWARD = 0.25  # the same, the recovery of the states, and the sum of what the parts give

MOST_HEADS = 16  # whose states lie in a core's second-level cache beside what is fetched

KINDS = {torch.float32: FLOAT32, torch.bfloat16: BFLOAT16}


def _readable(x: Tensor) -> Tensor:
    """The tensor itself where the kernel can read it: a kind that it knows, channels side by side."""
    x = x if x.dtype in KINDS else x.float()
    return x if x.stride(-1) == 1 else x.contiguous()


def _kept_dtype(x: Tensor) -> torch.dtype:
    """The tensor's own where the kernel can write it."""
    return x.dtype if x.dtype in KINDS else torch.float32


def _describe(parameters: np.ndarray, word: int, x: Tensor) -> None:
    size = x.element_size()
    sequence, token, head, _ = x.stride()
    parameters[word : word + TENSOR_WORDS] = (
        x.data_ptr(),
        sequence * size,
        token * size,
        head * size,
        KINDS[x.dtype],
    )


def parts_for(tasks: int, most: int, threads: int, repeated: float = REPEATED) -> int:
    """Into how many parts each task is cut so that `threads` threads are done soonest.

    A part repeats the share `repeated` of the whole task.
    """
    candidates = [parts for parts in (1, 2, 4, 8) if parts <= most]
    return min(candidates, key=lambda parts: -(-tasks * parts // threads) * (1 / parts + repeated))


def group_for(tasks: int, heads: int, threads: int) -> int:
    """How many heads a task has, of `tasks` tasks if each has all: the most with which no thread has to wait."""
    least = heads_in_turn(tasks, heads, 1, threads)
    groups = range(1, min(heads, MOST_HEADS) + 1)
    return max(group for group in groups if heads_in_turn(tasks, heads, group, threads) <= least)


def heads_in_turn(tasks: int, heads: int, group: int, threads: int) -> int:
    """How many heads the thread with the most to do takes, if a task has so many of them."""
    return -(-tasks * -(-heads // group) // threads) * group


def share_out(tasks: int, heads: int, threads: int) -> tuple[int, int]:
    """How many heads a task has, and how many directions, of `tasks` tasks if each has all.

    Both directions, unless threads would then wait: they meet once instead of twice.
    """
    both, one = group_for(tasks, heads, threads), group_for(2 * tasks, heads, threads)
    apart = heads_in_turn(2 * tasks, heads, one, threads)
    return (both, 2) if 2 * heads_in_turn(tasks, heads, both, threads) <= apart else (one, 1)


def prepare() -> None:
    """Compile the forward kernel, or load it from the cache: raises what the compiler raises."""
    kernel(*FORWARD)


def forward(r: Tensor, w: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, gate: Tensor) -> Tensor:
    """y ``(B, T, H, N)`` in the dtype of v; see `arwkv_kernels.bi_wkv7`."""
    compiled = kernel(*FORWARD)
    inputs = [_readable(x) for x in (r, w, k, v, a, b)]
    y = fresh(v.shape, _kept_dtype(v))
    fill_forward(compiled, inputs, gate.float().contiguous(), y)
    return y.to(v.dtype)


def fill_forward(compiled: Kernel, inputs: list[Tensor], gate: Tensor, y: Tensor) -> None:
    """Run the forward kernel on ``r, w, k, v, a, b`` and a float32 gate into y."""
    batch, tokens, heads, _ = y.shape
    chains = batch * heads
    threads = torch.get_num_threads()
    parts = parts_for(2 * chains, BLOCKS, threads)
    group, directions = share_out(batch * parts, heads, threads)
    tasks = batch * -(-heads // group) * parts * 2 // directions
    states = 2 * chains * forward_layout.STATE_FLOATS
    scratch = min(threads, tasks) * forward_layout.SCRATCH_FLOATS
    # a float32 y takes what one direction leaves itself
    partial = 0 if y.dtype == torch.float32 else y.numel()
    with workspace(states + scratch + partial) as memory:
        p = np.zeros(forward_layout.WORDS, np.int64)
        p[forward_layout.TASKS] = tasks
        p[forward_layout.SCRATCH] = memory[states:].data_ptr()
        p[forward_layout.TOKENS] = tokens
        p[forward_layout.HEADS] = heads
        p[forward_layout.GROUP] = group
        p[forward_layout.PARTS] = parts
        p[forward_layout.STATES] = memory.data_ptr()
        p[forward_layout.GATE] = gate.data_ptr()
        left = memory[states + scratch :].view(y.shape) if partial else y
        for word, x in zip(forward_layout.TENSORS, (*inputs, y, left), strict=True):
            _describe(p, word, x)
        for phase in range(2) if directions == 1 else [forward_layout.BOTH]:
            p[forward_layout.NEXT_TASK] = p[forward_layout.NEXT_SCRATCH] = 0
            p[forward_layout.PHASE] = phase
            run_on_threads(compiled, p.ctypes.data, threads)


def sweep(
    r: Tensor, w: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, state: Tensor, reverse: bool
) -> tuple[Tensor, Tensor]:
    """y ``(B, T, H, N)`` in the dtype of v, state ``(B, H, N, N)``; see `arwkv_kernels.wkv7_sweep`."""
    compiled = kernel(*ONE_WAY)
    inputs = [_readable(x) for x in (r, w, k, v, a, b)]
    y = fresh(v.shape, _kept_dtype(v))
    batch, tokens, heads, _ = v.shape
    chains = batch * heads
    threads = torch.get_num_threads()
    parts = parts_for(chains, BLOCKS, threads)
    group = group_for(batch * parts, heads, threads)
    tasks = batch * -(-heads // group) * parts
    # from rows of values to blocks of them: [value, key] -> [block, key, value]
    states = torch.empty(chains, forward_layout.STATE_FLOATS)
    blocks = states[:, : N * N].view(chains, BLOCKS, N, VALUES)
    blocks.copy_(state.reshape(chains, BLOCKS, VALUES, N).transpose(2, 3))
    with workspace(min(threads, tasks) * forward_layout.SCRATCH_FLOATS) as scratch:
        p = np.zeros(one_way_layout.WORDS, np.int64)
        p[forward_layout.TASKS] = tasks
        p[forward_layout.SCRATCH] = scratch.data_ptr()
        p[forward_layout.TOKENS] = tokens
        p[forward_layout.HEADS] = heads
        p[forward_layout.GROUP] = group
        p[forward_layout.PARTS] = parts
        p[forward_layout.STATES] = blocks.data_ptr()
        p[one_way_layout.REVERSE] = int(reverse)
        for word, x in zip(forward_layout.TENSORS, (*inputs, y, y), strict=True):
            _describe(p, word, x)
        run_on_threads(compiled, p.ctypes.data, threads)
    return y.to(v.dtype), blocks.transpose(2, 3).reshape(batch, heads, N, N)


def backward(
    dy: Tensor, r: Tensor, w: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, gate: Tensor
) -> Gradients:
    """The seven gradients, each in the dtype of its tensor."""
    tensors = (r, w, k, v, a, b)
    results = [fresh(x.shape, _kept_dtype(x)) for x in tensors]
    dgate = backward_into(results, dy, *tensors, gate)
    dr, dw, dk, dv, da, db = (x.to(like.dtype) for x, like in zip(results, tensors, strict=True))
    return dr, dw, dk, dv, da, db, dgate.to(gate.dtype)


def backward_into(results: list[Tensor], dy: Tensor, *inputs: Tensor) -> Tensor:
    """Six gradients to where they are wanted, float32 or bfloat16, contiguous; the one of the gate, in float32."""
    compiled = kernel(*BACKWARD)
    *tensors, gate = inputs
    readable = [_readable(x) for x in (dy, *tensors)]
    batch, _, heads, _ = dy.shape
    threads = torch.get_num_threads()
    parts = parts_for(batch * heads, 2 * BLOCKS, threads, REPEATED_BACKWARD)
    gate = gate.float().contiguous()
    if parts == 1:
        dgate = torch.empty(gate.shape)
        fill_backward(compiled, readable, gate, results, dgate, parts, threads)
        return dgate
    partial = [fresh((parts * batch, *x.shape[1:]), torch.float32) for x in results]
    dgate = torch.empty(parts * batch, *gate.shape[1:])
    fill_backward(compiled, readable, gate, partial, dgate, parts, threads)
    _sum_parts(partial, results, parts)
    return dgate.view(parts, *gate.shape).sum(0)


def _sum_parts(partial: list[Tensor], results: list[Tensor], parts: int) -> None:
    """Add up each gradient's parts, ``(parts * B, T, H, N)`` in float32."""
    count = results[0].numel()
    table = np.zeros((len(results), part_sum_layout.ROW_WORDS), np.int64)
    for row, x, result in zip(table, partial, results, strict=True):
        row[part_sum_layout.SOURCE], row[part_sum_layout.TARGET] = x.data_ptr(), result.data_ptr()
        row[part_sum_layout.KIND] = KINDS[result.dtype]
    p = np.zeros(part_sum_layout.WORDS, np.int64)
    p[part_sum_layout.TABLE] = table.ctypes.data
    p[part_sum_layout.PARTS] = parts
    p[part_sum_layout.COUNT] = count
    p[part_sum_layout.PIECES] = pieces = -(-count // part_sum_layout.PIECE)
    p[part_sum_layout.TASKS] = len(results) * pieces
    run_on_threads(kernel(*PART_SUM), p.ctypes.data, torch.get_num_threads())


def fill_backward(
    compiled: Kernel,
    inputs: list[Tensor],
    gate: Tensor,
    gradients: list[Tensor],
    dgate: Tensor,
    parts: int,
    threads: int,
) -> None:
    """Run the backward kernel on ``dy, r, w, k, v, a, b`` into the six gradients and dgate."""
    batch, tokens, heads, _ = inputs[0].shape
    tasks = batch * heads * parts
    floats = backward_layout.scratch_floats(tokens)
    with workspace(min(threads, tasks) * floats) as scratch:
        p = np.zeros(backward_layout.WORDS, np.int64)
        p[backward_layout.TASKS] = tasks
        p[backward_layout.SCRATCH] = scratch.data_ptr()
        p[backward_layout.SCRATCH_BYTES] = 4 * floats
        p[backward_layout.BATCH] = batch
        p[backward_layout.TOKENS] = tokens
        p[backward_layout.HEADS] = heads
        p[backward_layout.PARTS] = parts
        p[backward_layout.GATE] = gate.data_ptr()
        p[backward_layout.DGATE] = dgate.data_ptr()
        for word, x in zip(backward_layout.TENSORS, (*inputs, *gradients), strict=True):
            _describe(p, word, x)
        run_on_threads(compiled, p.ctypes.data, threads)
