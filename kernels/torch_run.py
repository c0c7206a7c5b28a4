"""A stretch of Bi-WKV-7 in chunks, run through from the state before it.

The tokens of a chunk see one another, through the products of readers with writers. What comes of that is found for
all chunks at once, as two matrices by which s and y depend on what a reads from the state and on v. What is left then
is the state, which goes from one chunk to the next.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from .torch_chunks import Chunks, Constants, inverse
from .torch_scan import scan
from .torch_scratch import Scratch, memory


class Run(NamedTuple):
    """A stretch that has been run through.

    R is as in `Chunks`; F is 2 * C rows, for s and y, or the first C of them, for s alone.

    Attributes
    ----------
    by_a : Tensor, ``(X, R, C)``
        How s and y depend on what each token's a reads from the state.
    by_v : Tensor, ``(X, R, C)``
        How they depend on v.
    found : Tensor, ``(X, F, N)``
        s, which b writes, and y; s alone if there was no need for y.
    """

    by_a: Tensor
    by_v: Tensor
    found: Tensor


def run(
    chunks: Chunks, v: Tensor, states: Tensor, wants_y: bool, constants: Constants, scratch: Scratch
) -> Run:
    """Take chunks through the states, as `scan` takes them; v is ``(X, C, N)``, what k writes.

    The products of chunks are overwritten, and the result lies in the scratch memory.
    """
    count, tokens, channels = v.shape
    rows, found_rows = chunks.readers.shape[1], 2 * tokens if wants_y else tokens
    with_b, with_k = chunks.products.chunk(2, 2)
    a_with_b, a_with_k = with_b.narrow(1, 0, tokens), with_k.narrow(1, 0, tokens)
    by_a = memory(scratch, "by a", [count, rows, tokens])
    by_v = memory(scratch, "by v", [count, rows, tokens])
    solve = inverse(a_with_b, constants, scratch)
    # Products of a with b have done their duty, and make room for 1: so these are what s and y are made of.
    itself, wanted = constants.itself.narrow(1, 0, rows), constants.wanted.narrow(1, 0, rows)
    torch.addcmul(itself, chunks.products, wanted, out=chunks.products)
    torch.bmm(with_b, solve, out=by_a)
    torch.bmm(by_a, a_with_k, out=by_v)
    if rows > tokens:
        by_v.narrow(1, tokens, tokens).add_(with_k.narrow(1, tokens, tokens))
    found = memory(scratch, "found", [count, found_rows, channels])
    torch.bmm(by_v.narrow(1, 0, found_rows), v, out=found)
    # What was gathered is in chunks by now.
    readers = memory(scratch, "gathered", [count, found_rows, channels])
    torch.bmm(by_a.narrow(1, 0, found_rows), chunks.readers.narrow(1, 0, tokens), out=readers)
    if wants_y:
        readers.narrow(1, tokens, tokens).add_(chunks.readers.narrow(1, tokens, tokens))
    scan(readers, found, chunks.writers, v, chunks.decay, states, chunks.span, scratch, reverse=False)
    return Run(by_a, by_v, found)
