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

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from .torch_scratch import Scratch

CHUNK = 16
"""C, a power of two. Products within chunks grow with it, steps from one chunk to the next get fewer."""


Tokens = Callable[[str], Tensor]
"""Gives a, r, b, k or d, the decay, of all tokens, ``(X, C, N)``: each until the next is asked for, but d for good."""


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
            Before each chunk and after the last, and the gradients by them.
        scratch : Scratch
        """


class Chunks(NamedTuple):
    """Chunks, with all that does not depend on the state.

    Attributes
    ----------
    readers, writers : Tensor, ``(X, 2 * C, N)``
        Those decayed since the chunk's beginning, these up to its end.
    decay : Tensor, ``(X, 1, N)``
        Over the whole chunk.
    products : Tensor, ``(X, 2 * C, 2 * C)``
        Of readers with writers; 0 where a reader comes too early.
    way : Way
    """

    readers: Tensor
    writers: Tensor
    decay: Tensor
    products: Tensor
    way: Way


@lru_cache(maxsize=64)
def same_block(tokens: int, size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """1 where two tokens are in the same block of that size, ``(C, C)``; else 0."""
    block = torch.arange(tokens, device=device) // size
    return (block[:, None] == block).to(dtype)


def inverse(strict: Tensor, scratch: Scratch) -> Tensor:
    """Of ``1 - strict`` for strictly lower triangular matrices ``(X, C, C)``.

    By blocks of 4, 8, 16 .. tokens, each from the two that it is made of. That is as exact as substitution; powers of
    the whole matrix would need as few products, but they grow beyond all bounds where tokens are alike. Within blocks
    of 4 they don't yet: ``1 / (1 - x)`` is ``(1 + x) (1 + x^2)`` there, as ``x^4`` is 0.
    """
    tokens = strict.shape[-1]
    found, part, product = (scratch(name, *strict.shape) for name in ("inverse", "part", "product"))

    def same(size: int) -> Tensor:
        return same_block(tokens, size, strict.dtype, strict.device)

    torch.mul(strict, same(4), out=part)
    torch.bmm(part, part, out=product)
    part += same(1)
    torch.bmm(part, product, out=found).add_(part)
    size = 8
    while size <= tokens:
        across = same(size) - same(size // 2)  # from a block's second half to its first
        torch.mul(strict, across, out=part)
        torch.bmm(found, part, out=product)
        torch.bmm(product, found, out=part)
        found += part
        size *= 2
    return found


def by_scale(states: Tensor, gradients: Tensor, scratch: Scratch) -> Tensor:
    """Gradients ``(X, 1, N)`` by factors of 1 that scale the key channels of states ``(n, M, N, N)``."""
    return (
        torch.mul(states, gradients, out=scratch("squares", *states.shape))
        .sum(-1)
        .view(-1, 1, states.shape[-1])
    )


def scan(
    readers: Tensor, found: Tensor, writers: Tensor, decay: Tensor, states: Tensor, reverse: bool = False
) -> None:
    """Run through chunks one after the other, in place: all that must wait for the state before it.

    Parameters
    ----------
    readers, writers : Tensor, ``(n, M, C, N)``
    found : Tensor, ``(n, M, C, N)``
        What each token finds elsewhere; what its reader finds in the state is added.
    decay : Tensor, ``(n, M, 1, N)``
    states : Tensor, ``(n + 1, M, N, N)``
        The first state, and what each chunk adds to it without ``found``; becomes the state before each chunk, and
        after the last.
    reverse : bool
        From the last chunk to the first: the last state is given, and the others are those that a chunk leads to.
    """
    before, after = states[:-1].unbind(), states[1:].unbind()
    if reverse:
        before, after = after, before
    steps = list(
        zip(
            readers.unbind(),
            found.unbind(),
            writers.transpose(2, 3).unbind(),
            decay.transpose(2, 3).unbind(),
            before,
            after,
            strict=True,
        )
    )
    for reader, content, writer, factor, old, new in reversed(steps) if reverse else steps:
        content.baddbmm_(reader, old)
        new.addcmul_(old, factor).baddbmm_(writer, content)
