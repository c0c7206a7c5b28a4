"""Bi-WKV-7 in chunks of tokens, by matrix products: what happens inside of chunks, and from one chunk to the next.

With S for the state at a chunk's beginning, here key channels × value channels, and ``D(i, j)`` for the product of the
decays of the tokens after j up to and including i, the tokens i = 1 .. C of the chunk give::

    s_i = a_i D(i-1, 0) S + sum over j < i  of (a_i D(i-1, j) · b_j) s_j + (a_i D(i-1, j) · k_j) v_j
    y_i = r_i D(i, 0)   S + sum over j <= i of (r_i D(i, j) · b_j)   s_j + (r_i D(i, j) · k_j)   v_j

a and r read from the state, b and k write into it. How the products in brackets are computed depends on the decays:
`torch_quotients` has the fast way, `torch_halves` that for decays of every kind.

*Readers* (a, r), *writers* (b, k) and *contents* (s, v), which these write, come in pairs, C rows of the first above C
of the second. The first has to do with what must yet be found, the second with what is given.

Letters: n chunks one after the other, M sequences side by side, X = n * M, C tokens, N channels.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from .reference import MAX_LOG_LOG_DECAY
from .torch_scratch import Scratch, memory

CHUNK = 16
"""C, a power of two. Products within chunks grow with it, steps from one chunk to the next get fewer."""

SPAN = 2
"""Most chunks that share a scale. More would save little, and so many do with all decays that the model gives.

Stretches are made of whole spans, so that a sequence's values, in float32, have the same bits whatever lies beside it.
"""


class TokenGradients(NamedTuple):
    """Gradients by what each token has.

    Attributes
    ----------
    readers, writers : Tensor, ``(X, 2 * C, N)``
        By (a, r) and (b, k), contiguous.
    log_d : Tensor, ``(X, C, N)``
        By the logarithm of the decay.
    """

    readers: Tensor
    writers: Tensor
    log_d: Tensor


class Chunks(NamedTuple):
    """Chunks, with all that does not depend on the state.

    R is 2 * C rows, for a and r, or the first C of them, for a alone.

    Attributes
    ----------
    readers : Tensor, ``(X, R, N)``
    writers : Tensor, ``(X, 2 * C, N)``
        Readers decayed since the chunk's beginning, writers up to its end; or, with a span, since and up to the span's
        beginning, where that means that writers are divided by decays.
    decay : Tensor, ``(X, 1, N)``
        Over the chunk, or over the span up to the chunk's end.
    span : int
        After how many chunks the state is decayed, and after the last one: when all is written. 0 if it is in each
        chunk, before that writes.
    products : Tensor, ``(X, R, 2 * C)``
        Of readers with writers. Those where a reader comes too early don't matter.
    """

    readers: Tensor
    writers: Tensor
    decay: Tensor
    span: int
    products: Tensor


class Constants(NamedTuple):
    """What there is to be known of chunks, whatever is in them.

    Attributes
    ----------
    most_w : float
        From there on a decay is 0 in any case, whatever its gradient is made of.
    log2_e : float
        Powers are made of 2: on CPUs, that takes less time than of e.
    sums : Tensor, ``(1, C, C)``
        Turns rates of decay into logarithms to base 2 of running products.
    late_enough : Tensor, ``(2 * C, 2 * C)``
        1 where readers come late enough for writers; else 0.
    blocks, and_one : Tensor, ``(parts, 1, C, C)``
        What `inverse` needs of a strictly lower triangular matrix, and what it adds to that: the matrix within blocks
        of 4 tokens; 1 and that; the matrix from the first half of blocks of 8 tokens to their second; of 16; and so on.
    itself : Tensor, ``(1, 2 * C, 2 * C)``
        1 where a token's s meets its own a; else 0.
    wanted : Tensor, ``(1, 2 * C, 2 * C)``
        As ``late_enough``, but 0 for all products of a with b.
    """

    most_w: float
    log2_e: float
    sums: Tensor
    late_enough: Tensor
    blocks: Tensor
    and_one: Tensor
    itself: Tensor
    wanted: Tensor


@lru_cache(maxsize=16)
def constants(tokens: int, dtype: torch.dtype, device: torch.device) -> Constants:
    """For chunks of that many tokens."""
    with torch.inference_mode(False):  # or nobody outside of that mode could use them later
        late = torch.ones(tokens, tokens, dtype=dtype, device=device).tril()
        lower, nothing = late.tril(-1), torch.zeros_like(late)
        late_enough = torch.cat((lower.repeat(1, 2), late.repeat(1, 2)))
        block = torch.arange(tokens, device=device)

        def same(size: int) -> Tensor:
            return (block[:, None] // size == block // size).to(dtype)

        sizes = [2**power for power in range(3, tokens.bit_length())]
        picked = [same(4), same(4), *(same(size) - same(size // 2) for size in sizes)]
        one = [nothing, same(1), *(nothing for _ in sizes)]
        itself = torch.zeros(1, 2 * tokens, 2 * tokens, dtype=dtype, device=device)
        itself[0, :tokens, :tokens].fill_diagonal_(1)
        wanted = late_enough[None].clone()
        wanted[0, :tokens, :tokens] = 0
        log2_e = math.log2(math.e)
        return Constants(
            MAX_LOG_LOG_DECAY,
            log2_e,
            late[None] * -log2_e,
            late_enough,
            (torch.stack(picked) * lower)[:, None],
            torch.stack(one)[:, None],
            itself,
            wanted,
        )


def inverse(strict: Tensor, constants: Constants, scratch: Scratch) -> Tensor:
    """Of ``1 - strict`` for strictly lower triangular matrices ``(X, C, C)``; all else in them does not matter.

    By blocks of 4, 8, 16 .. tokens, each from the two that it is made of. That is as exact as substitution; powers of
    the whole matrix would need as few products, but they grow beyond all bounds where tokens are alike. Within blocks
    of 4 they don't yet: ``1 / (1 - x)`` is ``(1 + x) (1 + x^2)`` there, as ``x^4`` is 0.
    """
    count, tokens = strict.shape[:2]
    size, shape = constants.blocks.shape[0], [count, tokens, tokens]
    # The rates of the same chunks have become decays by now.
    parts = torch.addcmul(
        constants.and_one,
        strict,
        constants.blocks,
        out=memory(scratch, "rate", [size, count, tokens, tokens]),
    ).unbind()
    product, found, free = memory(scratch, "product", shape), memory(scratch, "inverse", shape), parts[0]
    torch.bmm(parts[0], parts[0], out=product)
    torch.baddbmm(parts[1], parts[1], product, out=found)
    for part in parts[2:]:
        torch.bmm(part, found, out=product)
        torch.baddbmm(found, found, product, out=free)
        found, free = free, found
    return found


def by_scale(states: Tensor, gradients: Tensor) -> Tensor:
    """Gradients ``(X, 1, N)`` by factors of 1 that scale the key channels of states ``(n, M, N, N)``.

    The states are overwritten.
    """
    return states.mul_(gradients).sum(-1).view(-1, 1, states.shape[-1])
