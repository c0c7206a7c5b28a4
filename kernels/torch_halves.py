"""The products of readers with writers for decays of every kind, without ever dividing by one.

Each D(i, j) is split at the middle of the smallest block of 2, 4, 8 .. tokens that holds both i and j, into a factor of
the reader and one of the writer, both between 0 and 1. A decay of exactly 0 needs no care.

Here the two readers of a token stand side by side, and so do its two writers: ``(X, C, 2, N)``.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from .torch_chunk_gradients import ChunkGradients
from .torch_chunks import Chunks, Constants, TokenGradients, by_scale
from .torch_scratch import Scratch, memory
from .torch_stretch import Place, Tokens, rates, readers_of, writers_of


class Halves(NamedTuple):
    """The blocks of one size, Y in all, as they are where readers of their second half meet writers of their first.

    Attributes
    ----------
    readers, writers : Tensor, ``(Y, 2 * half, N)``
        Those decayed since the middle, these up to the middle.
    first, second : Tensor, ``(Y, 1, N)``
        Decay over either half.
    """

    readers: Tensor
    writers: Tensor
    first: Tensor
    second: Tensor


class Halvings(NamedTuple):
    """Tokens as they were, all ``(X, C, N)``, and halves from small to large."""

    r: Tensor
    b: Tensor
    k: Tensor
    d: Tensor
    halves: list[Halves]


def prepare(
    tokens: Tokens, place: Place, keep: bool, constants: Constants, scratch: Scratch
) -> tuple[Chunks, Halvings]:
    """As `torch_quotients.prepare`, but chunks share no scale, and r is never left out.

    There are halves only if they are to be kept, for gradients.
    """
    d = torch.exp2(rates(tokens, place, constants, scratch, bounded=False) * -constants.log2_e)
    a, r = readers_of(tokens, place, scratch, True).clone().unbind(1)
    b, k = writers_of(tokens, place, scratch).clone().unbind(1)
    count, size, channels = d.shape
    readers, writers = torch.stack((a, r * d), 2), torch.stack((b, k), 2)
    products = torch.zeros([count, size, 2, size, 2], dtype=d.dtype, device=d.device)
    own = (writers * r[:, :, None]).sum(-1)  # (X, C, 2): a token's r meets its own b and k
    products[:, :, 1].diagonal(dim1=1, dim2=2).copy_(own.transpose(1, 2))
    decay = d.reshape(-1, 1, channels)  # over blocks of one token
    halves: list[Halves] = []
    half = 1
    while half < size:
        late = readers.view(-1, 2, 2 * half, channels)[:, 1]
        early = writers.view(-1, 2, 2 * half, channels)[:, 0]
        first, second = decay.view(-1, 2, 1, channels).unbind(1)
        below_middle(products, half).copy_(
            (late @ early.transpose(1, 2)).view(-1, size // (2 * half), half, 2, half, 2)
        )
        if keep:
            halves.append(Halves(late.clone(), early.clone(), first, second))
        late *= first
        early *= second
        decay = first * second
        half *= 2
    # What `scan` cuts lies in scratch memory.
    pairs = [count, 2, size, channels]
    chunks = Chunks(
        memory(scratch, "readers", pairs).copy_(readers.transpose(1, 2)).flatten(1, 2),
        memory(scratch, "writers", pairs).copy_(writers.transpose(1, 2)).flatten(1, 2),
        memory(scratch, "decay", list(decay.shape)).copy_(decay),
        0,
        products.permute(0, 2, 1, 4, 3).reshape(count, 2 * size, 2 * size),
    )
    return chunks, Halvings(r, b, k, d, halves)


def back(halvings: Halvings, found: ChunkGradients, states: Tensor, dstates: Tensor) -> TokenGradients:
    """As `torch_quotients.back`, but that nothing is overwritten except the states, and dstates are what they say."""
    r, b, k, d = halvings.r, halvings.b, halvings.k, halvings.d
    products = found.products
    count, tokens, _ = d.shape
    own = products.view(count, 2, tokens, 2, tokens)[:, 1].diagonal(dim1=1, dim2=3)[..., None]
    own_b, own_k = own.unbind(1)
    readers, writers = side_by_side(found.readers), side_by_side(found.writers)
    crossed = products.view(count, 2, tokens, 2, tokens).permute(0, 2, 1, 4, 3).contiguous()
    dd = by_scale(states[:-1], dstates[1:])  # by the decay of whole chunks
    dd = through_halves(halvings.halves, readers, writers, crossed, dd).view(d.shape)
    da, dr = readers.unbind(2)
    db, dk = writers.unbind(2)
    dd += dr * r
    dr = dr * d + own_b * b + own_k * k  # a token's r has met its own b and k undecayed
    return TokenGradients(torch.cat((da, dr), 1), torch.cat((db + own_b * r, dk + own_k * r), 1), dd.mul_(d))


def through_halves(
    halves: list[Halves], dreaders: Tensor, dwriters: Tensor, dproducts: Tensor, dd: Tensor
) -> Tensor:
    """Turn gradients by decayed readers and writers into those of bare ones, in place; the gradient by decays.

    Parameters
    ----------
    halves : list of Halves
    dreaders, dwriters : Tensor, ``(X, C, 2, N)``
    dproducts : Tensor, ``(X, C, 2, C, 2)``
    dd : Tensor, ``(X, 1, N)``
        By the decay of whole chunks.

    Returns
    -------
    Tensor, ``(X * C, 1, N)``
        By the decay of each token. That of readers by their own token is not in it: r has one, a has none.
    """
    channels = dd.shape[-1]
    for i in range(len(halves)):
        level = halves[len(halves) - 1 - i]
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


def side_by_side(pairs: Tensor) -> Tensor:
    """A copy ``(X, C, 2, N)`` of pairs ``(X, 2 * C, N)``."""
    count, rows, channels = pairs.shape
    return pairs.view(count, 2, rows // 2, channels).transpose(1, 2).contiguous()


def below_middle(products: Tensor, half: int) -> Tensor:
    """Where readers of a block's second half meet writers of its first, for all blocks of ``2 * half`` tokens.

    A view ``(X, C / (2 * half), half, 2, half, 2)`` of ``products``, ``(X, C, 2, C, 2)``.
    """
    count, tokens = products.shape[:2]
    blocks = tokens // (2 * half)
    view = products.view(count, blocks, 2, half, 2, blocks, 2, half, 2)
    return view[:, :, 1, :, :, :, 0].diagonal(dim1=1, dim2=4).movedim(-1, 1)
