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
    with_b, with_k, a = (
        chunks.products[:, :, :tokens],
        chunks.products[:, :, tokens:],
        chunks.readers[:, :tokens],
    )
    by_a = memory(scratch, "by a", [count, rows, tokens])
    by_v = memory(scratch, "by v", [count, rows, tokens])
    solve = inverse(with_b[:, :tokens], constants, scratch)
    # Products of a with b have done their duty, and make room for 1: so these are what s and y are made of.
    itself, wanted = constants.itself[:, :rows], constants.wanted[:, :rows]
    torch.addcmul(itself, chunks.products, wanted, out=chunks.products)
    torch.bmm(with_b, solve, out=by_a)
    torch.bmm(by_a, with_k[:, :tokens], out=by_v)
    if rows > tokens:
        by_v[:, tokens:] += with_k[:, tokens:]
    found = memory(scratch, "found", [count, found_rows, channels])
    torch.bmm(by_v[:, :found_rows], v, out=found)
    readers = memory(
        scratch, "gathered", [count, found_rows, channels]
    )  # what was gathered is in chunks by now
    torch.bmm(by_a[:, :found_rows], a, out=readers)
    if wants_y:
        readers[:, tokens:] += chunks.readers[:, tokens:]
    scan(readers, found, chunks.writers, v, chunks.decay, states, chunks.span, scratch, reverse=False)
    return Run(by_a, by_v, found)
