"""Bi-WKV-7 in chunks of tokens, by matrix products: what happens inside of chunks, and from one chunk to the next.

With S for the state at a chunk's beginning, here key channels × value channels, and ``D(i, j)`` for the product of the
decays of the tokens after j up to and including i, the tokens i = 1 .. C of the chunk give::

    s_i = a_i D(i-1, 0) S + sum over j < i  of (a_i D(i-1, j) · b_j) s_j + (a_i D(i-1, j) · k_j) v_j
    y_i = r_i D(i, 0)   S + sum over j <= i of (r_i D(i, j) · b_j)   s_j + (r_i D(i, j) · k_j)   v_j

a and r read from the state, b and k write into it. The products in brackets are computed without ever dividing by a
decay: each D(i, j) is split at the middle of the smallest block of 2, 4, 8 .. tokens that holds both i and j, into a
factor of the reader and one of the writer, both between 0 and 1. A decay of exactly 0 needs no care.

Tokens are pairs of rows: *readers* (a_i, r_i), *writers* (b_j, k_j), and the *contents* (s_j, v_j) that these write. Of
each pair the first has to do with what must yet be found, the second with what is given.

Letters: n chunks one after the other, M sequences side by side, C tokens, N channels.
"""

from typing import NamedTuple

import torch
from torch import Tensor

CHUNK = 16
"""C, a power of two. Products within chunks grow with it, steps from one chunk to the next get fewer."""


class Halves(NamedTuple):
    """The blocks of one size, X in all, as they are where readers of their second half meet writers of their first.

    Attributes
    ----------
    readers, writers : Tensor, ``(X, 2 * half, N)``
        Those decayed since the middle, these up to the middle.
    first, second : Tensor, ``(X, 1, N)``
        Decay over either half.
    """

    readers: Tensor
    writers: Tensor
    first: Tensor
    second: Tensor


class Chunks(NamedTuple):
    """Chunks, with all that does not depend on the state.

    Attributes
    ----------
    readers, writers : Tensor, ``(n, M, 2 * C, N)``
        Those decayed since the chunk's beginning, these up to its end.
    decay : Tensor, ``(n, M, N, 1)``
        Over the whole chunk.
    products : Tensor, ``(n, M, 2 * C, 2 * C)``
        Of readers with writers; 0 where a reader comes too early.
    solve : Tensor, ``(n, M, C, C)``
        Inverse of 1 - (products of a with b).
    halves : list of Halves
        From small to large; empty unless asked for.
    """

    readers: Tensor
    writers: Tensor
    decay: Tensor
    products: Tensor
    solve: Tensor
    halves: list[Halves]


class Run(NamedTuple):
    """A stretch that has been run through.

    Attributes
    ----------
    chunks : Chunks
    contents : Tensor, ``(n, M, C, 2, N)``
        Of each token s and v.
    states : Tensor, ``(n + 1, M, N, N)``
        Before each chunk, and after the last; key channels × value channels.
    """

    chunks: Chunks
    contents: Tensor
    states: Tensor

    def y(self) -> Tensor:
        """What r reads, ``(n, M, C, N)``: not yet scaled by any gate."""
        n, sequences, tokens, _, channels = self.contents.shape
        readers = self.chunks.readers.view(-1, tokens, 2, channels)[:, :, 1]
        products = self.chunks.products.view(-1, tokens, 2, 2 * tokens)[:, :, 1]
        y = torch.bmm(readers, self.states[:-1].view(-1, channels, channels))
        y.baddbmm_(products, self.contents.view(-1, 2 * tokens, channels))
        return y.view(n, sequences, tokens, channels)


def prepare(
    readers: Tensor, writers: Tensor, d: Tensor, products: Tensor, keep_halves: bool = False
) -> Chunks:
    """All about chunks that does not depend on the state.

    Parameters
    ----------
    readers, writers : Tensor, ``(n, M, C, 2, N)``
        Contiguous; overwritten.
    d : Tensor, ``(n, M, C, N)``
        Decays.
    products : Tensor, ``(n * M, C, 2, C, 2)``
        Zeros, in whose place the products are put.
    keep_halves : bool
        For gradients.
    """
    n, sequences, tokens, _, channels = readers.shape
    own = (writers * readers[..., 1:, :]).sum(-1)  # (n, M, C, 2): a token's r meets its own b and k
    products[:, :, 1].diagonal(dim1=1, dim2=2).copy_(own.view(-1, tokens, 2).transpose(1, 2))
    readers[..., 1, :] *= d
    decay = d.reshape(-1, 1, channels)  # over blocks of one token
    halves = []
    half = 1
    while half < tokens:
        late = readers.view(-1, 2, 2 * half, channels)[:, 1]
        early = writers.view(-1, 2, 2 * half, channels)[:, 0]
        first, second = decay.view(-1, 2, 1, channels).unbind(1)
        below_middle(products, half).copy_(
            (late @ early.transpose(1, 2)).view(-1, tokens // (2 * half), half, 2, half, 2)
        )
        if keep_halves:
            halves.append(Halves(late.clone(), early.clone(), first, second))
        late *= first
        early *= second
        decay = first * second
        half *= 2
    return Chunks(
        readers.view(n, sequences, 2 * tokens, channels),
        writers.view(n, sequences, 2 * tokens, channels),
        decay.view(n, sequences, channels, 1),
        products.view(n, sequences, 2 * tokens, 2 * tokens),
        inverse(products[:, :, 0, :, 0]).view(n, sequences, tokens, tokens),
        halves,
    )


def below_middle(products: Tensor, half: int) -> Tensor:
    """Where readers of a block's second half meet writers of its first, for all blocks of ``2 * half`` tokens.

    A view ``(X, C / (2 * half), half, 2, half, 2)`` of ``products``, ``(X, C, 2, C, 2)``.
    """
    blocks = products.shape[1] // (2 * half)
    view = split(split(products, 3, blocks, 2, half), 1, blocks, 2, half)
    # view: (X, blocks, 2, half, 2, blocks, 2, half, 2)
    return view[:, :, 1, :, :, :, 0].diagonal(dim1=1, dim2=4).movedim(-1, 1)


def split(x: Tensor, dimension: int, *sizes: int) -> Tensor:
    """A view with several dimensions in the place of one."""
    return x.view(*x.shape[:dimension], *sizes, *x.shape[dimension + 1 :])


def inverse(strict: Tensor) -> Tensor:
    """Of ``1 - strict`` for strictly lower triangular matrices ``(X, C, C)``.

    By blocks of 2, 4, 8 .. tokens, each from the two that it is made of. That is as exact as substitution; powers of
    the matrix would need as few products, but they grow beyond all bounds where tokens are alike.
    """
    size, strict = strict.shape[-1], strict.contiguous()
    block = torch.arange(size, device=strict.device)
    found = torch.eye(size, dtype=strict.dtype, device=strict.device).expand_as(strict)
    half = 1
    while half < size:
        across = (block[:, None] == block + 1) & (block % 2 == 0)  # from a second half to its first
        below = strict * across.to(strict.dtype)
        found = found + below if half == 1 else torch.baddbmm(found, found @ below, found)
        block = block // 2
        half *= 2
    return found


def scan(readers: Tensor, found: Tensor, writers: Tensor, decay: Tensor, states: Tensor) -> None:
    """Run through chunks one after the other, in place: all that must wait for the state before it.

    Parameters
    ----------
    readers, writers : Tensor, ``(n, M, C, N)``
    found : Tensor, ``(n, M, C, N)``
        What each token finds elsewhere; what its reader finds in the state is added.
    decay : Tensor, ``(n, M, N, 1)``
    states : Tensor, ``(n + 1, M, N, N)``
        The first state, and what each chunk adds to it without ``found``; becomes the state before each chunk, and
        after the last.
    """
    steps = zip(
        readers.unbind(),
        found.unbind(),
        writers.transpose(2, 3).unbind(),
        decay.unbind(),
        states[:-1].unbind(),
        states[1:].unbind(),
        strict=True,
    )
    for reader, content, writer, factor, before, after in steps:
        content.baddbmm_(reader, before)
        after.addcmul_(before, factor).baddbmm_(writer, content)
