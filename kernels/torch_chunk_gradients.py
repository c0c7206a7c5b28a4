"""Gradients of Bi-WKV-7 in chunks, by matrix products: `torch_chunks` the other way round.

Against time, writers and readers change places: what b finds in the gradient of the state is the gradient of s, and
what the readers are asked for is written into it. *Demands* are the pairs of rows (z, dy), where dy is the gradient of
y, and z that of what s would be if tokens of a chunk did not see one another. Then, for a chunk that begins with the
state S, and with the gradient G by the state behind it::

    demands S^T     are the gradients of readers as they are decayed,
    contents G^T    those of writers, and
    demands contents^T, where a reader comes late enough, those of the products of readers with writers.

From there the way leads back through the halvings by which those were made. Nothing is divided by a decay here either.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from .torch_chunks import Halves, Run, below_middle, scan


class ChunkGradients(NamedTuple):
    """Gradients by what a stretch was made of.

    Attributes
    ----------
    readers, writers : Tensor, ``(n, M, C, 2, N)``
        By (a, r) and (b, k).
    d, v : Tensor, ``(n, M, C, N)``
        By decays and values.
    state : Tensor, ``(M, N, N)``
        By the state before the stretch.
    """

    readers: Tensor
    writers: Tensor
    d: Tensor
    v: Tensor
    state: Tensor


def gradients(
    passed: Run, r: Tensor, writers: Tensor, d: Tensor, dy: Tensor, after: Tensor
) -> ChunkGradients:
    """Gradients of one stretch.

    Parameters
    ----------
    passed : Run
        With halves.
    r, d, dy : Tensor, ``(n, M, C, N)``
        Receptance and decays as they are, and the gradient of y.
    writers : Tensor, ``(n, M, C, 2, N)``
        b and k as they are.
    after : Tensor, ``(M, N, N)``
        Gradient by the state behind the stretch.
    """
    contents = passed.contents
    demands, dv, states = _backwards(passed, dy, after)
    pairs, square = (-1, 2 * contents.shape[2], contents.shape[-1]), (-1, *after.shape[1:])
    before, behind = passed.states[:-1].view(square), states[:-1].flip(0).view(square)
    dreaders = torch.bmm(demands.view(pairs), before.transpose(1, 2))
    dwriters = torch.bmm(contents.view(pairs), behind.transpose(1, 2))
    dproducts = torch.bmm(demands.view(pairs), contents.view(pairs).transpose(1, 2))
    dd = (before * behind).sum(-1)[:, None]  # (n * M, 1, N), by the decay of the whole chunk
    dd = _through_halves(passed.chunks.halves, dreaders, dwriters, dproducts, dd).view(d.shape)
    dreaders, dwriters = dreaders.view(contents.shape), dwriters.view(contents.shape)
    dr = dreaders[:, :, :, 1]
    dd += dr * r
    dr *= d
    own = (dy[:, :, :, None] * contents).sum(
        -1, keepdim=True
    )  # a token's r has met its own b and k undecayed
    dr += (own * writers).sum(3)
    dwriters += own * r[:, :, :, None]
    return ChunkGradients(dreaders, dwriters, dd, dv, states[-1])


def _backwards(passed: Run, dy: Tensor, after: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Demands, gradient by v, and gradients by states: that behind the last chunk first."""
    chunks = passed.chunks
    n, _, tokens, _, channels = passed.contents.shape
    readers, writers = (x.view(passed.contents.shape) for x in (chunks.readers, chunks.writers))
    products = chunks.products.view(-1, tokens, 2, tokens, 2)
    flat = dy.flatten(0, 1)
    states = after.new_empty(n + 1, *after.shape)
    states[0] = after
    torch.bmm(
        readers[:, :, :, 1].flip(0).flatten(0, 1).transpose(1, 2),
        dy.flip(0).flatten(0, 1),
        out=states[1:].view(-1, channels, channels),
    )
    ds = torch.bmm(products[:, :, 1, :, 0].contiguous().transpose(1, 2), flat).view(dy.shape).flip(0)
    scan(
        writers[:, :, :, 0].flip(0),
        ds,
        (chunks.solve @ readers[:, :, :, 0]).flip(0),
        chunks.decay.flip(0),
        states,
    )
    z = chunks.solve.transpose(2, 3) @ ds.flip(0)
    demands = torch.stack((z, dy), 3)
    by_k = products[..., 1].flatten(1, 2)  # (n * M, 2 * C, C)
    dv = torch.bmm(by_k.transpose(1, 2), demands.view(-1, 2 * tokens, channels)).view(dy.shape)
    dv += writers[:, :, :, 1] @ states[:-1].flip(0)
    return demands, dv, states


def _through_halves(
    halves: list[Halves], dreaders: Tensor, dwriters: Tensor, dproducts: Tensor, dd: Tensor
) -> Tensor:
    """Turn gradients by decayed readers and writers into those of bare ones, in place; the gradient by decays.

    Parameters
    ----------
    halves : list of Halves
    dreaders, dwriters : Tensor, ``(X, 2 * C, N)``
    dproducts : Tensor, ``(X, 2 * C, 2 * C)``
    dd : Tensor, ``(X, 1, N)``
        By the decay of whole chunks.

    Returns
    -------
    Tensor, ``(X * C, 1, N)``
        By the decay of each token. That of readers by their own token is not in it: r has one, a has none.
    """
    tokens, channels = dreaders.shape[1] // 2, dreaders.shape[2]
    dproducts = dproducts.view(-1, tokens, 2, tokens, 2)
    for level in reversed(halves):
        rows = level.readers.shape[1]
        late = dreaders.view(-1, 2, rows, channels)[:, 1]
        early = dwriters.view(-1, 2, rows, channels)[:, 0]
        dfirst = dd * level.second + (late * level.readers).sum(1, keepdim=True)
        dsecond = dd * level.first + (early * level.writers).sum(1, keepdim=True)
        late *= level.first
        early *= level.second
        block = below_middle(dproducts, rows // 2).reshape(-1, rows, rows)
        late += torch.bmm(block, level.writers)
        early += torch.bmm(block.transpose(1, 2), level.readers)
        dd = torch.stack((dfirst, dsecond), 1).view(-1, 1, channels)
    return dd
