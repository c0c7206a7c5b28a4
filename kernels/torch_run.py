"""A stretch of Bi-WKV-7 in chunks, run through from the state before it."""

from typing import NamedTuple

import torch
from torch import Tensor

from .torch_chunks import Chunks, inverse, scan
from .torch_scratch import Scratch


class Run(NamedTuple):
    """A stretch that has been run through.

    Attributes
    ----------
    chunks : Chunks
    solve : Tensor, ``(X, C, C)``
        Inverse of 1 - (products of a with b).
    seeing : Tensor, ``(X, C, N)``
        What s reads from the state, over all tokens of the chunk that it sees on the way: solve times the readers of a.
    s, v : Tensor, ``(X, C, N)``
        What b and k write.
    states : Tensor, ``(n + 1, M, N, N)``
        Before each chunk, and after the last; key channels × value channels.
    """

    chunks: Chunks
    solve: Tensor
    seeing: Tensor
    s: Tensor
    v: Tensor
    states: Tensor

    def y(self, scratch: Scratch) -> Tensor:
        """What r reads, ``(X, C, N)``."""
        count, tokens, channels = self.v.shape
        before = self.states[:-1].view(count, channels, channels)
        y = torch.bmm(self.chunks.readers[:, tokens:], before, out=scratch("y", *self.v.shape))
        y.baddbmm_(self.chunks.products[:, tokens:, :tokens], self.s)
        return y.baddbmm_(self.chunks.products[:, tokens:, tokens:], self.v)


def run(chunks: Chunks, v: Tensor, state: Tensor, scratch: Scratch) -> Run:
    """Take chunks from a state ``(M, N, N)``, key channels × value channels; v is ``(X, C, N)``.

    The result lies in the scratch memory.
    """
    count, tokens, channels = v.shape
    sequences = len(state)
    n = count // sequences
    cut = (n, sequences, tokens, channels)
    solve = inverse(chunks.products[:, :tokens, :tokens], scratch)
    seeing = torch.bmm(solve, chunks.readers[:, :tokens], out=scratch("seeing", *v.shape))
    through = torch.bmm(solve, chunks.products[:, :tokens, tokens:], out=scratch("part", *solve.shape))
    s = torch.bmm(through, v, out=scratch("s", *v.shape))
    states = scratch("states", n + 1, *state.shape)
    states[0] = state
    added = states[1:].view(count, channels, channels)
    torch.bmm(chunks.writers[:, tokens:].transpose(1, 2), v, out=added)
    writers = chunks.writers.view(n, sequences, 2, tokens, channels)[:, :, 0]
    scan(seeing.view(cut), s.view(cut), writers, chunks.decay.view(n, sequences, 1, channels), states)
    return Run(chunks, solve, seeing, s, v, states)
