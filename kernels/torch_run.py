"""A stretch of Bi-WKV-7 in chunks, run through from the state before it.

The tokens of a chunk see one another, through the products of readers with writers. What comes of that is found for
all chunks at once, as two matrices by which s and y depend on what a reads from the state and on v. What is left then
is the state, which goes from one chunk to the next.
"""

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from .torch_chunks import Chunks, inverse, reach
from .torch_scan import scan
from .torch_scratch import Scratch


class Run(NamedTuple):
    """A stretch that has been run through.

    R is 2 * C rows, for s and y, or the first C of them, for s alone.

    Attributes
    ----------
    chunks : Chunks
    by_a : Tensor, ``(X, R, C)``
        How s and y depend on what each token's a reads from the state; for s, without that of the token itself.
    by_v : Tensor, ``(X, R, C)``
        How they depend on v.
    found : Tensor, ``(X, R, N)``
        s, which b writes, and y; s alone if there was no need for y.
    v : Tensor, ``(X, C, N)``
        What k writes.
    states : Tensor, ``(n + 1, M, N, N)`` or ``(1, M, N, N)``
        Before each chunk, and after the last; or only that. Key channels × value channels.
    """

    chunks: Chunks
    by_a: Tensor
    by_v: Tensor
    found: Tensor
    v: Tensor
    states: Tensor


class Constants(NamedTuple):
    """For products of readers with writers, ``(1, 2 * C, 2 * C)``, or for those of a alone, ``(1, C, 2 * C)``.

    Attributes
    ----------
    itself : Tensor
        1 where a token's s meets its own a; else 0.
    wanted : Tensor
        1 where a reader comes late enough, but 0 for all products of a with b.
    minus : Tensor, ``(1, 2 * C or C, C)``
        Minus the first half of ``itself``.
    """

    itself: Tensor
    wanted: Tensor
    minus: Tensor


@lru_cache(maxsize=16)
def constants(tokens: int, rows: int, dtype: torch.dtype, device: torch.device) -> Constants:
    """For that many rows of products."""
    itself = torch.zeros(1, rows, 2 * tokens, dtype=dtype, device=device)
    itself[0, :tokens, :tokens].fill_diagonal_(1)
    wanted = reach(tokens, dtype, device)[None, :rows].clone()
    wanted[0, :tokens, :tokens] = 0
    return Constants(itself, wanted, -itself[:, :, :tokens])


def run(
    chunks: Chunks, v: Tensor, state: Tensor, scratch: Scratch, wants_y: bool = True, keep: bool = False
) -> Run:
    """Take chunks from a state ``(M, N, N)``, key channels × value channels; v is ``(X, C, N)``.

    The result lies in the scratch memory. Gradients need all states to be kept.
    """
    count, tokens, channels = v.shape
    rows, found_rows = chunks.readers.shape[1], 2 * tokens if wants_y else tokens
    by_a, by_v = scratch("by a", count, rows, tokens), scratch("by v", count, rows, tokens)

    def cut(products: Tensor, readers: Tensor, by_a: Tensor, by_v: Tensor) -> tuple[Tensor, ...]:
        with_b, with_k = products[:, :, :tokens], products[:, :, tokens:]
        a = with_b[:, :tokens], with_k[:, :tokens], readers[:, :tokens]
        return with_b, with_k, *a, *(x[:, :found_rows] for x in (readers, by_a, by_v))

    name = "cut with y" if wants_y else "cut without y"
    with_b, with_k, a_with_b, a_with_k, a, finders, by_a_found, by_v_found = scratch.pieces(
        name, cut, chunks.products, chunks.readers, by_a, by_v
    )
    itself, wanted, minus = constants(tokens, rows, v.dtype, v.device)
    solve = inverse(a_with_b, scratch)
    # Products of a with b have done their duty, and make room for 1: so these are what s and y are made of.
    torch.addcmul(itself, chunks.products, wanted, out=chunks.products)
    torch.baddbmm(minus, with_b, solve, out=by_a)
    torch.baddbmm(with_k, by_a, a_with_k, out=by_v)
    found = torch.bmm(by_v_found, v, out=scratch("found", count, found_rows, channels))
    free = scratch("gathered", count, found_rows, channels)  # all that was gathered is in chunks by now
    readers = torch.baddbmm(finders, by_a_found, a, out=free)
    states = scratch("states", count // len(state) + 1 if keep else 1, *state.shape)
    states[0] = state
    scan(readers, found, chunks.writers, v, chunks.decay, states, chunks.span, scratch)
    return Run(chunks, by_a, by_v, found, v, states)
