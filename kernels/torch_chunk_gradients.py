"""Gradients of Bi-WKV-7 in chunks, by matrix products: `torch_run` the other way round.

Against time, writers and readers change places: what b finds in the gradient of the state is the gradient of s, and
what the readers are asked for is written into it. *Demands* are the pairs (z, dy), where dy is the gradient of y, and
z that of what s would be if tokens of a chunk did not see one another. As s and y come of what a reads and of v, so z
and the gradient of v come of what b reads there and of dy, by the same two matrices, turned round. Then, for a chunk
that begins with the state S, and with the gradient G by the state as its writers leave it::

    demands S^T     are the gradients of readers as they are decayed,
    contents G^T    those of writers, and
    demands contents^T, where a reader comes late enough, those of the products of readers with writers.

From there the way leads back to tokens as it came.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from .torch_chunks import TokenGradients
from .torch_run import Run
from .torch_scan import scan
from .torch_scratch import Scratch


class StretchGradients(NamedTuple):
    """Gradients by what a stretch was made of.

    Attributes
    ----------
    tokens : TokenGradients
        That of r is by r as it went in.
    found : Tensor, ``(X, 2 * C, N)``
        That by v, behind C rows of demands.
    state : Tensor, ``(M, N, N)``
        By the state before the stretch.
    """

    tokens: TokenGradients
    found: Tensor
    state: Tensor


def gradients(passed: Run, dy: Tensor, after: Tensor, scratch: Scratch) -> StretchGradients:
    """Gradients of one stretch.

    Parameters
    ----------
    passed : Run
    dy : Tensor, ``(X, C, N)``
        Gradient of y.
    after : Tensor, ``(M, N, N)``
        Gradient by the state behind the stretch.
    """
    chunks, (count, tokens, channels) = passed.chunks, dy.shape
    rows, square = (count, 2 * tokens, channels), (count, channels, channels)
    depends = torch.cat((passed.by_a, passed.by_v), 2, out=scratch("depends", count, 2 * tokens, 2 * tokens))
    on_s, on_y = depends.transpose(1, 2).chunk(2, 2)
    found = torch.bmm(on_y, dy, out=scratch("found back", *rows))  # z and the gradient of v
    readers = torch.baddbmm(chunks.writers, on_s, chunks.writers[:, :tokens], out=scratch("gathered", *rows))
    states = scratch("dstates", *passed.states.shape)
    states[-1] = after
    scan(readers, found, chunks.readers, dy, chunks.decay, states, chunks.span, scratch, reverse=True)
    demands = torch.cat((found[:, :tokens], dy), 1, out=readers)
    contents = torch.cat((passed.found[:, :tokens], passed.v), 1, out=scratch("contents", *rows))
    before, behind = passed.states[:-1].view(square), states[1:].view(square)
    dreaders = torch.bmm(demands, before.transpose(1, 2), out=scratch("dreaders", *rows))
    dwriters = torch.bmm(contents, behind.transpose(1, 2), out=scratch("dwriters", *rows))
    dproducts = torch.bmm(
        demands, contents.transpose(1, 2), out=scratch("dproducts", count, 2 * tokens, 2 * tokens)
    )
    tokens_found = chunks.way.back(dreaders, dwriters, dproducts, passed.states, states, scratch)
    return StretchGradients(tokens_found, found, states[0])
