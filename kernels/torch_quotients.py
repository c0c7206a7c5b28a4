"""The products of readers with writers where decays are not too small: of two matrices, scaled by running products.

With E(i) for the product of the decays of a chunk's tokens up to and including i, the decay D(i, j) from j to i is
E(i) / E(j). So readers times E, and writers divided by it, give all products of a chunk at once. Those where the reader
comes too early are finite, as no E is smaller than `LEAST`, and are struck out.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from .torch_chunks import CHUNK, Chunks, TokenGradients, Tokens, by_scale
from .torch_scratch import Scratch

LEAST = 1e-9
"""Of the decay over a chunk. The model's, 0.545 a token and above, are far from it."""


class Quotients(NamedTuple):
    """A `Way`: running products, and what was made with them.

    Attributes
    ----------
    since : Tensor, ``(X, C + 1, N)``
        Decay since the chunk's beginning: before its first token, and after each.
    inverse : Tensor, ``(X, C, N)``
        1 / decay up to and including each token.
    readers, writers : Tensor, ``(X, 2 * C, N)``
        Scaled.
    """

    since: Tensor
    inverse: Tensor
    readers: Tensor
    writers: Tensor

    def back(
        self,
        readers: Tensor,
        writers: Tensor,
        products: Tensor,
        states: Tensor,
        dstates: Tensor,
        scratch: Scratch,
    ) -> TokenGradients:
        """As `Way`."""
        count, tokens, channels = self.inverse.shape
        pairs = (count, 2, tokens, channels)
        late_enough = reach(tokens, products.dtype, products.device)
        products *= late_enough
        readers.baddbmm_(products, self.writers)
        writers *= self.since[:, -1:]
        writers.baddbmm_(products.transpose(1, 2), self.readers)
        # By the logarithms of running products: a reader has used that up to its own token, or a up to the one before;
        # what a writer has used, it was divided by. With that of the state, all of a chunk sum up to 0. So the decay
        # of a token, which is in the products of its own and of those after it, gets the rest of what came before.
        by_logs, logs = scratch("by logs", *self.readers.shape), scratch("logs", *self.inverse.shape)
        by_b, by_k = torch.mul(writers, self.writers, out=by_logs).view(pairs).unbind(1)
        torch.add(by_b[:, :-1], by_k[:, :-1], out=logs[:, 1:])
        by_a, by_r = torch.mul(readers, self.readers, out=by_logs).view(pairs).unbind(1)
        logs[:, 1:] -= by_r[:, :-1]
        logs[:, :1] = by_scale(states[:-1], dstates[:-1], scratch)
        logs -= by_a
        before = late_enough[tokens:, :tokens].expand(count, -1, -1)
        log_d = torch.bmm(before, logs, out=scratch("log d", *logs.shape))
        readers.view(pairs).mul_(self.since.unfold(1, tokens, 1).transpose(2, 3))
        writers.view(pairs).mul_(self.inverse[:, None])
        return TokenGradients(readers, writers, log_d)


def suits(w: Tensor) -> bool:
    """Whether log-log decays w are all such that nothing gets too large. NaN is no reason against it."""
    return not bool(w.amax() > math.log(-math.log(LEAST) / CHUNK))


@lru_cache(maxsize=16)
def reach(tokens: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """1 where readers come late enough for writers, ``(2 * C, 2 * C)``; else 0."""
    late = torch.ones(tokens, tokens, dtype=dtype, device=device).tril()
    return torch.cat((late.tril(-1).repeat(1, 2), late.repeat(1, 2)))


def prepare(tokens: Tokens, scratch: Scratch, keep: bool = True) -> Chunks:
    """Chunks of tokens.

    Parameters
    ----------
    tokens : Tokens
    scratch : Scratch
    keep : bool
        What the way back needs; without it, there is none.
    """
    d = tokens("d")
    count, length, channels = d.shape
    since = scratch("since", count, length + 1, channels)
    since[:, 0] = 1
    torch.cumprod(d, 1, out=since[:, 1:])
    inverse = torch.reciprocal(since[:, 1:], out=scratch("inverse since", *d.shape))
    pairs, rows = (count, 2, length, channels), (count, 2 * length, channels)
    readers, writers = scratch("readers", *pairs), scratch("writers", *pairs)
    torch.mul(tokens("a"), since[:, :-1], out=readers[:, 0])
    torch.mul(tokens("r"), since[:, 1:], out=readers[:, 1])
    torch.mul(tokens("b"), inverse, out=writers[:, 0])
    torch.mul(tokens("k"), inverse, out=writers[:, 1])
    readers, writers, whole = readers.view(rows), writers.view(rows), since[:, -1:]
    products = scratch("products", count, 2 * length, 2 * length)
    torch.bmm(readers, writers.transpose(1, 2), out=products)
    products *= reach(length, d.dtype, d.device)
    ends = torch.mul(writers, whole, out=scratch("ends", *rows) if keep else writers)
    return Chunks(readers, ends, whole, products, Quotients(since, inverse, readers, writers))
