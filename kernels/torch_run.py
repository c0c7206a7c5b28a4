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


@lru_cache(maxsize=16)
def itself(tokens: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """1 where a token's s meets its own a, ``(2 * C, 2 * C)``; else 0."""
    found = torch.zeros(2 * tokens, 2 * tokens, dtype=dtype, device=device)
    found[:tokens, :tokens].fill_diagonal_(1)
    return found


@lru_cache(maxsize=16)
def wanted_products(tokens: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """1 for those of r with b and k, and of a with k, where a reader comes late enough, ``(2 * C, 2 * C)``; else 0."""
    wanted = reach(tokens, dtype, device).clone()
    wanted[:tokens, :tokens] = 0
    return wanted


def run(
    chunks: Chunks, v: Tensor, state: Tensor, scratch: Scratch, wants_y: bool = True, keep: bool = False
) -> Run:
    """Take chunks from a state ``(M, N, N)``, key channels × value channels; v is ``(X, C, N)``.

    The result lies in the scratch memory. Gradients need all states to be kept.
    """
    count, tokens, channels = v.shape
    sequences = len(state)
    n = count // sequences
    rows = chunks.readers.shape[1]
    one, wanted = (x(tokens, v.dtype, v.device)[:rows] for x in (itself, wanted_products))
    solve = inverse(chunks.products[:, :tokens, :tokens], scratch)
    # Those of a with b have done their duty, and make room for 1: so these are what s and y are made of.
    products = torch.addcmul(one, chunks.products, wanted, out=chunks.products)
    by_a, by_v = scratch("by a", count, rows, tokens), scratch("by v", count, rows, tokens)
    torch.baddbmm(-one[:, :tokens], products[:, :, :tokens], solve, out=by_a)
    torch.baddbmm(products[:, :, tokens:], by_a, products[:, :tokens, tokens:], out=by_v)
    rows = 2 * tokens if wants_y else tokens
    found = scratch("found", count, rows, channels)
    readers = scratch(
        "gathered", count, rows, channels
    )  # that was for the tokens, which are in chunks by now
    torch.bmm(by_v[:, :rows], v, out=found)
    torch.baddbmm(chunks.readers[:, :rows], by_a[:, :rows], chunks.readers[:, :tokens], out=readers)
    states = scratch("states", n + 1 if keep else 1, *state.shape)
    states[0] = state
    scan(
        readers.view(n, sequences, rows, channels),
        found.view(n, sequences, rows, channels),
        chunks.writers.view(n, sequences, 2 * tokens, channels),
        v.view(n, sequences, tokens, channels),
        chunks.decay.view(n, sequences, 1, channels),
        states,
        chunks.span,
        scratch,
    )
    return Run(chunks, by_a, by_v, found, v, states)
