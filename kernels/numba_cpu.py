"""The ``numba`` backend: tensors in and out of the compiled loops."""

import numpy as np
import torch
from torch import Tensor

from . import backward_layout, forward_layout, one_way_layout
from .layout import BFLOAT16, FLOAT32, TENSOR_WORDS
from .numba_cache import kernel
from .object_code import Kernel
from .reference import Gradients
from .threads import run_on_threads
from .vector_width import BLOCKS, VALUES, N

# Where the kernels stand: modules that are imported only to compile them.
FORWARD = ".numba_forward", "forward_tasks"
ONE_WAY = ".numba_one_way", "one_way_tasks"
BACKWARD = ".numba_backward", "backward_tasks"

KINDS = {torch.float32: FLOAT32, torch.bfloat16: BFLOAT16}


def _readable(x: Tensor) -> Tensor:
    """The tensor itself where the kernel can read it: a kind that it knows, channels side by side."""
    x = x if x.dtype in KINDS else x.float()
    return x if x.stride(-1) == 1 else x.contiguous()


def _kept_dtype(x: Tensor) -> torch.dtype:
    """The tensor's own where the kernel can write it."""
    return x.dtype if x.dtype in KINDS else torch.float32


def _describe(parameters: np.ndarray, word: int, x: Tensor) -> None:
    strides = [stride * x.element_size() for stride in x.stride()[:3]]
    parameters[word : word + TENSOR_WORDS] = [x.data_ptr(), *strides, KINDS[x.dtype]]


def parts_for(tasks: int, most: int, threads: int) -> int:
    """Into how many parts each task is cut so that `threads` threads are done soonest.

    A part repeats the gathering of the inputs, about a tenth of the whole task.
    """
    candidates = [parts for parts in (1, 2, 4, 8) if parts <= most]
    return min(candidates, key=lambda parts: -(-tasks * parts // threads) * (1 / parts + 0.1))


def prepare() -> None:
    """Compile the forward kernel, or load it from the cache: raises what the compiler raises."""
    kernel(*FORWARD)


def forward(r: Tensor, w: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, gate: Tensor) -> Tensor:
    """y ``(B, T, H, N)`` in the dtype of v; see `arwkv_kernels.bi_wkv7`."""
    compiled = kernel(*FORWARD)
    inputs = [_readable(x) for x in (r, w, k, v, a, b)]
    y = torch.empty(v.shape, dtype=_kept_dtype(v))
    fill_forward(compiled, inputs, gate.float().contiguous(), y)
    return y.to(v.dtype)


def fill_forward(compiled: Kernel, inputs: list[Tensor], gate: Tensor, y: Tensor) -> None:
    """Run the forward kernel on ``r, w, k, v, a, b`` and a float32 gate into y."""
    batch, tokens, heads, _ = y.shape
    chains = batch * heads
    threads = torch.get_num_threads()
    parts = parts_for(2 * chains, BLOCKS, threads)
    tasks = 2 * chains * parts
    states = torch.empty(2 * chains * forward_layout.STATE_FLOATS)
    meeting = torch.empty(chains * tokens * forward_layout.MEETING_ROW)
    scratch = torch.empty(min(threads, tasks) * forward_layout.SCRATCH_FLOATS)
    p = np.zeros(forward_layout.WORDS, np.int64)
    p[forward_layout.TASKS] = tasks
    p[forward_layout.SCRATCH] = scratch.data_ptr()
    p[forward_layout.TOKENS] = tokens
    p[forward_layout.HEADS] = heads
    p[forward_layout.PARTS] = parts
    p[forward_layout.STATES] = states.data_ptr()
    p[forward_layout.MEETING] = meeting.data_ptr()
    p[forward_layout.GATE] = gate.data_ptr()
    for word, x in zip(forward_layout.TENSORS, (*inputs, y), strict=True):
        _describe(p, word, x)
    for phase in range(2):
        p[forward_layout.NEXT_TASK] = p[forward_layout.NEXT_SCRATCH] = 0
        p[forward_layout.PHASE] = phase
        run_on_threads(compiled, p.ctypes.data, threads)


def sweep(
    r: Tensor, w: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, state: Tensor, reverse: bool
) -> tuple[Tensor, Tensor]:
    """y ``(B, T, H, N)`` in the dtype of v, state ``(B, H, N, N)``; see `arwkv_kernels.wkv7_sweep`."""
    compiled = kernel(*ONE_WAY)
    inputs = [_readable(x) for x in (r, w, k, v, a, b)]
    y = torch.empty(v.shape, dtype=_kept_dtype(v))
    batch, tokens, heads, _ = v.shape
    chains = batch * heads
    threads = torch.get_num_threads()
    parts = parts_for(chains, BLOCKS, threads)
    states = torch.zeros(chains, forward_layout.STATE_FLOATS)
    # from rows of values to blocks of them: [value, key] -> [block, key, value]
    blocks = states[:, : N * N].view(chains, BLOCKS, N, VALUES)
    blocks.copy_(state.reshape(chains, BLOCKS, VALUES, N).transpose(2, 3))
    scratch = torch.empty(min(threads, chains * parts) * forward_layout.SCRATCH_FLOATS)
    p = np.zeros(one_way_layout.WORDS, np.int64)
    p[forward_layout.TASKS] = chains * parts
    p[forward_layout.SCRATCH] = scratch.data_ptr()
    p[forward_layout.TOKENS] = tokens
    p[forward_layout.HEADS] = heads
    p[forward_layout.PARTS] = parts
    p[forward_layout.STATES] = states.data_ptr()
    p[one_way_layout.REVERSE] = int(reverse)
    for word, x in zip(forward_layout.TENSORS, (*inputs, y), strict=True):
        _describe(p, word, x)
    run_on_threads(compiled, p.ctypes.data, threads)
    return y.to(v.dtype), blocks.transpose(2, 3).reshape(batch, heads, N, N)


def backward(
    dy: Tensor, r: Tensor, w: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, gate: Tensor
) -> Gradients:
    """The seven gradients, each in the dtype of its tensor."""
    compiled = kernel(*BACKWARD)
    tensors = (r, w, k, v, a, b)
    inputs = [_readable(x) for x in (dy, *tensors)]
    batch, _, heads, _ = r.shape
    threads = torch.get_num_threads()
    parts = parts_for(batch * heads, 2 * BLOCKS, threads)
    if parts == 1:
        gradients = [torch.empty(x.shape, dtype=_kept_dtype(x)) for x in tensors]
    else:
        gradients = [torch.empty(parts * batch, *x.shape[1:]) for x in tensors]
    dgate = torch.empty(parts * batch, *gate.shape[1:])
    fill_backward(compiled, inputs, gate.float().contiguous(), gradients, dgate, parts, threads)
    results = [*gradients, dgate]
    if parts > 1:
        results = [x.view(parts, batch, *x.shape[1:]).sum(0) for x in results]
    dr, dw, dk, dv, da, db, dgate = (
        x.to(like.dtype) for x, like in zip(results, (*tensors, gate), strict=True)
    )
    return dr, dw, dk, dv, da, db, dgate


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
    scratch = torch.empty(min(threads, tasks) * floats)
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
