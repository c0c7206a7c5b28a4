"""Gradients of Bi-WKV-7 in chunks, by matrix products: `torch_run` the other way round.

Against time, writers and readers change places: what b finds in the gradient of the state is the gradient of s, and
what the readers are asked for is written into it. *Demands* are the pairs (z, dy), where dy is the gradient of y, and
z that of what s would be if tokens of a chunk did not see one another. Then, for a chunk that begins with the state S,
and with the gradient G by the state behind it::

    demands S^T     are the gradients of readers as they are decayed,
    contents G^T    those of writers, and
    demands contents^T, where a reader comes late enough, those of the products of readers with writers.

From there the way leads back to tokens as it came.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from .torch_chunks import TokenGradients, scan
from .torch_run import Run
from .torch_scratch import Scratch


class StretchGradients(NamedTuple):
    """Gradients by what a stretch was made of.

    Attributes
    ----------
    tokens : TokenGradients
        That of r is by r as it went in.
    v : Tensor, ``(X, C, N)``
    state : Tensor, ``(M, N, N)``
        By the state before the stretch.
    """

    tokens: TokenGradients
    v: Tensor
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
    n, sequences = len(passed.states) - 1, len(after)
    pair, square = (count, 2, tokens, channels), (count, channels, channels)
    cut = (n, sequences, tokens, channels)
    rows = (count, 2 * tokens, channels)
    writers = chunks.writers.view(pair)
    states = scratch("dstates", n + 1, *after.shape)
    states[-1] = after
    before, behind = passed.states[:-1].view(square), states[1:].view(square)
    torch.bmm(chunks.readers[:, tokens:].transpose(1, 2), dy, out=states[:-1].view(square))
    ds = torch.bmm(chunks.products[:, tokens:, :tokens].transpose(1, 2), dy, out=scratch("ds", *dy.shape))
    decay = chunks.decay.view(n, sequences, 1, channels)
    scan(
        chunks.writers.view(n, sequences, *pair[1:])[:, :, 0],
        ds.view(cut),
        passed.seeing.view(cut),
        decay,
        states,
        reverse=True,
    )
    z = torch.bmm(passed.solve.transpose(1, 2), ds, out=scratch("z", *dy.shape))
    dv = torch.bmm(writers[:, 1], behind, out=scratch("dv", *dy.shape))
    dv.baddbmm_(chunks.products[:, :tokens, tokens:].transpose(1, 2), z)
    dv.baddbmm_(chunks.products[:, tokens:, tokens:].transpose(1, 2), dy)
    demands, contents = scratch("demands", *pair), scratch("contents", *pair)
    torch.stack((z, dy), 1, out=demands)
    torch.stack((passed.s, passed.v), 1, out=contents)
    demands, contents = demands.view(rows), contents.view(rows)
    dreaders = torch.bmm(demands, before.transpose(1, 2), out=scratch("dreaders", *rows))
    dwriters = torch.bmm(contents, behind.transpose(1, 2), out=scratch("dwriters", *rows))
    dproducts = torch.bmm(
        demands, contents.transpose(1, 2), out=scratch("dproducts", count, 2 * tokens, 2 * tokens)
    )
    found = chunks.way.back(dreaders, dwriters, dproducts, passed.states, states, scratch)
    return StretchGradients(found, dv, states[0])
