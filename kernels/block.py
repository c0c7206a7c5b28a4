"""The passes of a block between its matrix products, fused, for inference on a CPU.

Plain torch goes over the activations some forty times a block; here it is three times, and the products themselves.
`arwkv_core.fused_network` puts passes and products together, `arwkv_core.model` is the reference.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from . import block_mix_layout, block_shift_layout
from .numba_cache import kernel
from .threads import run_on_threads
from .vector_width import N

TASK_STEPS = 31
"""Steps of a task of the shift at most: two more are normalised twice."""

_SUFFIX = {torch.float32: "float32", torch.bfloat16: "bfloat16"}


@dataclass(frozen=True)
class ShiftWeights:
    """Constants of `shift`, float32.

    Attributes
    ----------
    norm_weight, norm_bias : Tensor, ``(C,)``
    taps : Tensor, ``(9, C)``
        The depthwise convolution over 3 steps × 3 bands, with 1 taken from its centre.
    shares : Tensor, ``(mixes, C)``
        What each mix takes of the shift.
    gate : Tensor, ``(C,)``, optional
        Weights of the gate between the directions.
    """

    norm_weight: Tensor
    norm_bias: Tensor
    taps: Tensor
    shares: Tensor
    gate: Tensor | None = None


@dataclass(frozen=True)
class MixWeights:
    """Constants of `time_mix`, float32, ``(C,)`` each."""

    w0: Tensor
    a0: Tensor
    v0: Tensor
    k_k: Tensor
    k_a: Tensor
    r_k: Tensor
    norm_weight: Tensor
    norm_bias: Tensor


def shift(
    x: Tensor, pending: Tensor | None, weights: ShiftWeights, new_x: Tensor, out: Tensor, gate: Tensor | None
) -> None:
    """Add the last product to the residual stream, normalise it, shift it, and make the mixes.

    Parameters
    ----------
    x : Tensor, ``(B, steps, 8, C)``
        The residual stream, float32.
    pending : Tensor, of the same shape, optional
        What is to be added to it, in the dtype of `out`.
    weights : ShiftWeights
    new_x : Tensor, of the same shape
        Receives the sum, if there is anything to add; not `x` itself.
    out : Tensor, ``(mixes, B, steps, 8, C)``
        Receives the mixes; float32 or bfloat16.
    gate : Tensor, ``(B, steps, 8, C // 64)``, optional
        Receives the logits of the gate, float32.
    """
    sequences, steps, _, width = x.shape
    threads = torch.get_num_threads()
    # whole sequences where they are many enough; never so long that threads wait for the last one
    task_steps = min(TASK_STEPS, max(1, -(-sequences * steps // (4 * threads))))
    tasks = sequences * -(-steps // task_steps)
    floats = block_shift_layout.scratch_floats(width)
    scratch = torch.empty(min(threads, tasks) * floats)
    p = np.zeros(block_shift_layout.WORDS, np.int64)
    p[block_shift_layout.TASKS] = tasks
    p[block_shift_layout.SCRATCH] = scratch.data_ptr()
    p[block_shift_layout.SCRATCH_BYTES] = 4 * floats
    p[block_shift_layout.SEQUENCES] = sequences
    p[block_shift_layout.STEPS] = steps
    p[block_shift_layout.WIDTH] = width
    p[block_shift_layout.MIXES] = len(weights.shares)
    p[block_shift_layout.TASK_STEPS] = task_steps
    p[block_shift_layout.X] = x.data_ptr()
    p[block_shift_layout.PENDING] = 0 if pending is None else pending.data_ptr()
    p[block_shift_layout.NEW_X] = new_x.data_ptr()
    p[block_shift_layout.NORM_WEIGHT] = weights.norm_weight.data_ptr()
    p[block_shift_layout.NORM_BIAS] = weights.norm_bias.data_ptr()
    p[block_shift_layout.TAP_WEIGHT] = weights.taps.data_ptr()
    p[block_shift_layout.SHARES] = weights.shares.data_ptr()
    p[block_shift_layout.OUT] = out.data_ptr()
    if weights.gate is not None and gate is not None:
        p[block_shift_layout.GATE_WEIGHT] = weights.gate.data_ptr()
        p[block_shift_layout.GATE] = gate.data_ptr()
    run_on_threads(kernel(".numba_block_shift", f"shift_{_SUFFIX[out.dtype]}"), p.ctypes.data, threads)


def time_mix(
    products: tuple[Tensor, ...],
    v_first: Tensor | None,
    gate: Tensor,
    weights: MixWeights,
    rows: Tensor,
    out: Tensor,
) -> None:
    """From the products of a time mix to what its output product takes: Bi-WKV-7 and all around it.

    Parameters
    ----------
    products : tuple of Tensor, each ``(B, T, C)``
        Receptance, key, value; the low-rank ones of decay, in-context rate, value residual and output gate. Float32 or
        bfloat16, all alike; that of the value residual is not read in block 0.
    v_first : Tensor, ``(B, T, C)``, optional
        The value of block 0, of the same dtype; none in block 0.
    gate : Tensor, ``(B, T, H)``
        Logits of the gate, float32.
    weights : MixWeights
    rows : Tensor
        Float32 workspace of at least `row_floats`.
    out : Tensor, ``(B, T, C)``
        Receives the result, of the products' dtype.
    """
    sequences, tokens, width = out.shape
    heads = width // N
    chains = sequences * heads
    threads = torch.get_num_threads()
    group = _heads_at_once(chains, threads)
    states = torch.empty(2 * chains * block_mix_layout.STATE_FLOATS)
    scratch = torch.empty(min(threads, 2 * group) * block_mix_layout.SCRATCH_FLOATS)
    p = np.zeros(block_mix_layout.WORDS, np.int64)
    p[block_mix_layout.SCRATCH] = scratch.data_ptr()
    p[block_mix_layout.TOKENS] = tokens
    p[block_mix_layout.HEADS] = heads
    p[block_mix_layout.STATES] = states.data_ptr()
    p[block_mix_layout.R_PRODUCT : block_mix_layout.R_PRODUCT + 7] = [x.data_ptr() for x in products]
    p[block_mix_layout.V_FIRST] = 0 if v_first is None else v_first.data_ptr()
    vectors = (weights.w0, weights.a0, weights.v0, weights.k_k, weights.k_a, weights.r_k)
    p[block_mix_layout.W0 : block_mix_layout.R_K + 1] = [x.data_ptr() for x in vectors]
    p[block_mix_layout.NORM_WEIGHT] = weights.norm_weight.data_ptr()
    p[block_mix_layout.NORM_BIAS] = weights.norm_bias.data_ptr()
    p[block_mix_layout.GATE] = gate.data_ptr()
    p[block_mix_layout.OUT] = out.data_ptr()
    compiled = kernel(".numba_block_mix", f"mix_{_SUFFIX[out.dtype]}")
    if threads == 1:
        p[block_mix_layout.ROWS] = rows.data_ptr()
        p[block_mix_layout.TASKS] = 4 * chains
        p[block_mix_layout.PHASE] = block_mix_layout.BOTH
        run_on_threads(compiled, p.ctypes.data, threads)
        return
    a_chain = tokens * block_mix_layout.ROW * rows.element_size()
    for first in range(0, chains, group):
        p[block_mix_layout.ROWS] = rows.data_ptr() - first * a_chain
        p[block_mix_layout.TASKS] = 2 * min(first + group, chains)
        for phase in range(2):
            p[block_mix_layout.NEXT_TASK] = 2 * first
            p[block_mix_layout.NEXT_SCRATCH] = 0
            p[block_mix_layout.PHASE] = phase
            run_on_threads(compiled, p.ctypes.data, threads)


def row_floats(sequences: int, tokens: int, width: int) -> int:
    """Size of the workspace of `time_mix` in float32, for as many threads as torch has now."""
    heads = _heads_at_once(sequences * width // N, torch.get_num_threads())
    return heads * tokens * block_mix_layout.ROW


def _heads_at_once(heads: int, threads: int) -> int:
    """The fewest that keep all threads busy, two to a head, since fewer rows are more likely to stay in the cache."""
    return min(heads, threads if threads % 2 else threads // 2)
