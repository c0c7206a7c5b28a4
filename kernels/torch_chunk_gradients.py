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

from .torch_chunks import Chunks
from .torch_run import Run
from .torch_scan import scan
from .torch_scratch import Scratch, memory


class ChunkGradients(NamedTuple):
    """Gradients by the members of `Chunks`, and by v.

    Attributes
    ----------
    readers, writers : Tensor, ``(X, 2 * C, N)``
    products : Tensor, ``(X, 2 * C, 2 * C)``
        Those where a reader comes too early don't matter.
    found : Tensor, ``(X, 2 * C, N)``
        That by v, behind C rows of demands.
    """

    readers: Tensor
    writers: Tensor
    products: Tensor
    found: Tensor


def gradients(
    chunks: Chunks, passed: Run, v: Tensor, dy: Tensor, states: Tensor, dstates: Tensor, scratch: Scratch
) -> ChunkGradients:
    """Gradients of one stretch.

    Parameters
    ----------
    chunks : Chunks
    passed : Run
    v, dy : Tensor, ``(X, C, N)``
        dy is the gradient of y.
    states, dstates : Tensor, ``(n + 1, M, N, N)``
        Before each chunk and after the last, and the gradients by them, of which the last is given: as `scan` leaves
        them.
    scratch : Scratch
    """
    count, tokens, channels = dy.shape
    rows, square = [count, 2 * tokens, channels], [count, channels, channels]
    depends = torch.cat(
        (passed.by_a, passed.by_v), 2, out=memory(scratch, "depends", [count, 2 * tokens, 2 * tokens])
    )
    on_s, on_y = depends.transpose(1, 2).chunk(2, 2)
    found = torch.bmm(on_y, dy, out=memory(scratch, "found back", rows))  # z and the gradient of v
    readers = memory(scratch, "gathered", rows)
    torch.bmm(on_s, chunks.writers[:, :tokens], out=readers)
    readers[:, tokens:] += chunks.writers[:, tokens:]
    scan(readers, found, chunks.readers, dy, chunks.decay, dstates, chunks.span, scratch, reverse=True)
    demands = torch.cat((found[:, :tokens], dy), 1, out=readers)
    contents = torch.cat((passed.found[:, :tokens], v), 1, out=memory(scratch, "contents", rows))
    before, behind = states[:-1].view(square), dstates[1:].view(square)
    return ChunkGradients(
        torch.bmm(demands, before.transpose(1, 2), out=memory(scratch, "dreaders", rows)),
        torch.bmm(contents, behind.transpose(1, 2), out=memory(scratch, "dwriters", rows)),
        torch.bmm(demands, contents.transpose(1, 2), out=memory(scratch, "dproducts", list(depends.shape))),
        found,
    )
