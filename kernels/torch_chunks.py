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
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from .torch_scratch import Scratch

CHUNK = 16
"""C, a power of two. Products within chunks grow with it, steps from one chunk to the next get fewer."""

SPAN = 2
"""Most chunks that share a scale. More would save little, and so many do with all decays that the model gives.

Stretches are made of whole spans, so that no sequence's bits depend on those beside it.
"""

LOG2_E = math.log2(math.e)
"""Powers are made of 2: on CPUs, that takes less time than of e."""

Tokens = Callable[[str], Tensor]
"""Gives what all tokens have, while chunks are made of them.

"rate" is their rate of decay, minus the logarithm of the decay, ``(X, C, N)``. One or two of a, r, b, k, as "ar", are
``(X, 1 or 2, C, N)``, until others are asked for.
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


class Way(Protocol):
    """How chunks were made of tokens."""

    def back(
        self,
        readers: Tensor,
        writers: Tensor,
        products: Tensor,
        states: Tensor,
        dstates: Tensor,
        scratch: Scratch,
    ) -> TokenGradients:
        """Turn gradients by the members of `Chunks` into those by tokens.

        Parameters
        ----------
        readers, writers : Tensor, ``(X, 2 * C, N)``
            Contiguous; overwritten.
        products : Tensor, ``(X, 2 * C, 2 * C)``
            Contiguous; overwritten. Those where a reader comes too early don't matter.
        states, dstates : Tensor, ``(n + 1, M, N, N)``
            Before each chunk and after the last, and the gradients by them; but of those behind a decay, the
            gradients by what was still to be decayed, if there is a `Chunks.span`. The states are overwritten.
        scratch : Scratch
        """


class Chunks(NamedTuple):
    """Chunks, with all that does not depend on the state.

    Attributes
    ----------
    readers, writers : Tensor, ``(X, 2 * C, N)``
        Those decayed since the chunk's beginning, these up to its end; or, with a span, since and up to the span's
        beginning, where that means that writers are divided by decays.
    decay : Tensor, ``(X, 1, N)``
        Over the chunk, or over the span up to the chunk's end.
    span : int
        After how many chunks the state is decayed, and after the last one: when all is written. 0 if it is in each
        chunk, before that writes.
    products : Tensor, ``(X, 2 * C, 2 * C)``
        Of readers with writers. Those where a reader comes too early don't matter.
    way : Way
    """

    readers: Tensor
    writers: Tensor
    decay: Tensor
    span: int
    products: Tensor
    way: Way


@lru_cache(maxsize=16)
def reach(tokens: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """1 where readers come late enough for writers, ``(2 * C, 2 * C)``; else 0."""
    late = torch.ones(tokens, tokens, dtype=dtype, device=device).tril()
    return torch.cat((late.tril(-1).repeat(1, 2), late.repeat(1, 2)))


@lru_cache(maxsize=16)
def parts_of_blocks(tokens: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """What `inverse` needs of a strictly lower triangular matrix, and what it adds to that, ``(parts, 1, C, C)``.

    The matrix within blocks of 4 tokens; 1 and that; the matrix from the first half of blocks of 8 tokens to their
    second; of 16; and so on.
    """
    block, lower = torch.arange(tokens, device=device), reach(tokens, dtype, device)[:tokens, :tokens]

    def same(size: int) -> Tensor:
        return (block[:, None] // size == block // size).to(dtype)

    sizes = [2**power for power in range(3, tokens.bit_length())]
    picked = [same(4), same(4), *(same(size) - same(size // 2) for size in sizes)]
    added = [torch.zeros_like(lower) for _ in picked]
    added[1] = same(1)
    return (torch.stack(picked) * lower)[:, None], torch.stack(added)[:, None]


def inverse(strict: Tensor, scratch: Scratch) -> Tensor:
    """Of ``1 - strict`` for strictly lower triangular matrices ``(X, C, C)``; all else in them does not matter.

    By blocks of 4, 8, 16 .. tokens, each from the two that it is made of. That is as exact as substitution; powers of
    the whole matrix would need as few products, but they grow beyond all bounds where tokens are alike. Within blocks
    of 4 they don't yet: ``1 / (1 - x)`` is ``(1 + x) (1 + x^2)`` there, as ``x^4`` is 0.
    """
    picked, added = parts_of_blocks(strict.shape[-1], strict.dtype, strict.device)
    parts = scratch("rate", len(picked), *strict.shape)  # which has become decays by now
    within, one_more, *across = torch.addcmul(added, strict, picked, out=parts).unbind()
    product, found, free = scratch("product", *strict.shape), scratch("inverse", *strict.shape), within
    torch.bmm(within, within, out=product)
    torch.baddbmm(one_more, one_more, product, out=found)
    for part in across:
        torch.bmm(part, found, out=product)
        found, free = torch.baddbmm(found, found, product, out=free), found
    return found


def by_scale(states: Tensor, gradients: Tensor) -> Tensor:
    """Gradients ``(X, 1, N)`` by factors of 1 that scale the key channels of states ``(n, M, N, N)``.

    The states are overwritten.
    """
    return states.mul_(gradients).sum(-1).view(-1, 1, states.shape[-1])
