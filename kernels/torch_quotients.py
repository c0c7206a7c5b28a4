"""The products of readers with writers where decays are not too small: of two matrices, scaled by running products.

With E(i) for the product of the decays of a chunk's tokens up to and including i, the decay D(i, j) from j to i is
E(i) / E(j). So readers times E, and writers divided by it, give all products of a chunk at once. Those where the reader
comes too early are finite, as no E is smaller than `LEAST`, and are struck out.

Where decays are slower still, E begins with the first of two chunks, the *span*. The state within a span is then the
true one divided by E, and has to be decayed only once, at the span's end.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from .reference import MAX_LOG_LOG_DECAY
from .torch_chunks import CHUNK, LOG2_E, SPAN, Chunks, TokenGradients, Tokens, by_scale, reach
from .torch_scratch import Scratch

LEAST = 1e-9
"""Of the decay over a span. The model's, 0.545 a token and above, let it be two chunks."""


class Quotients(NamedTuple):
    """A `Way`: running products, and what was made with them.

    Attributes
    ----------
    since : Tensor, ``(X, C + 1, N)``
        Decay since the span's beginning: before the chunk's first token, and after each.
    readers, writers : Tensor, ``(X, 2 * C, N)``
        Scaled.
    span : int
        How many chunks.
    """

    since: Tensor
    readers: Tensor
    writers: Tensor
    span: int

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
        count, rows, channels = readers.shape
        tokens = rows // 2
        pairs, shape = (count, 2, tokens, channels), (count, tokens, channels)
        late_enough = reach(tokens, products.dtype, products.device)
        products *= late_enough
        readers.baddbmm_(products, self.writers)
        writers.baddbmm_(products.transpose(1, 2), self.readers)
        # By the logarithms of running products: a reader has used that up to its own token, or a up to the one before;
        # what a writer has used, it was divided by. With that of the state, all of a chunk sum up to 0. So the decay
        # of a token, which is in the products of its own and of those after it, gets the rest of what came before.
        by_logs, logs = scratch("gathered", count, rows, channels), scratch("rate", *shape)
        by_b, by_k = torch.mul(writers, self.writers, out=by_logs).view(pairs).unbind(1)
        torch.add(by_b[:, :-1], by_k[:, :-1], out=logs[:, 1:])
        by_a, by_r = torch.mul(readers, self.readers, out=by_logs).view(pairs).unbind(1)
        logs[:, 1:] -= by_r[:, :-1]
        logs[:, :1] = self._by_states(states, dstates, scratch)
        logs -= by_a
        before = late_enough[tokens:, :tokens].expand(count, -1, -1)
        log_d = torch.bmm(before, logs, out=scratch("log d", *shape))
        readers.view(pairs).mul_(windows(self.since))
        writers.view(pairs).div_(self.since[:, None, 1:])
        return TokenGradients(readers, writers, log_d)

    def _by_states(self, states: Tensor, dstates: Tensor, scratch: Scratch) -> Tensor:
        """Gradients ``(X, 1, N)`` by factors of 1 that scale the key channels of the states before each chunk."""
        chunks, sequences, channels = states.shape[:3]
        found = by_scale(states[:-1], dstates[:-1])
        in_turn = (chunks - 1, sequences, channels)
        decay = self.since[:, -1].reshape(in_turn)[self.span - 1 : -1 : self.span]
        found.view(in_turn)[self.span :: self.span] /= decay  # by which dstates were already multiplied
        return found


def longest_span(w: Tensor) -> int:
    """How many chunks can share a scale for log-log decays w: 0 if some are too small even within one chunk.

    NaN is no reason for less.
    """
    most = float(w.amax())
    if math.isnan(most):
        most = float(w.nan_to_num(nan=-math.inf, posinf=math.inf).amax())
    rate = math.exp(min(most, MAX_LOG_LOG_DECAY))
    chunks = -math.log(LEAST) / (CHUNK * max(rate, 1e-6))
    return min(int(chunks), SPAN)


@lru_cache(maxsize=16)
def running_sums(tokens: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Turns rates of decay into logarithms to base 2 of running products, ``(C + 1, C)``."""
    return torch.full((tokens + 1, tokens), -LOG2_E, dtype=dtype, device=device).tril(-1)


def windows(since: Tensor) -> Tensor:
    """Running products ``(X, C + 1, N)`` up to the token before each and up to each, ``(X, 2, C, N)``."""
    return since.unfold(1, since.shape[1] - 1, 1).transpose(2, 3)


def prepare(
    given: Tokens, scratch: Scratch, sequences: int, span: int, wants_y: bool = True, keep: bool = True
) -> Chunks:
    """Chunks of tokens.

    Parameters
    ----------
    given : Tokens
    scratch : Scratch
    sequences : int
        M.
    span : int
        How many chunks.
    wants_y : bool
    keep : bool
        What the way back needs; without it, there is none. If there is no need for y either, no r is among the readers.
    """
    rate = given("rate")
    count, tokens, channels = rate.shape
    since = scratch("since", count, tokens + 1, channels)
    sums = running_sums(tokens, rate.dtype, rate.device).expand(count, -1, -1)
    logs = torch.bmm(sums, rate, out=since).view(-1, sequences, tokens + 1, channels)
    for place in range(1, span):
        later = logs[place::span]
        later += logs[place - 1 :: span][: len(later), :, -1:]
    since.exp2_()
    names = "ar" if wants_y or keep else "a"
    shape = (count, len(names), tokens, channels)
    readers = torch.mul(given(names), windows(since)[:, : len(names)], out=scratch("readers", *shape))
    shape = (count, 2, tokens, channels)
    writers = torch.div(given("bk"), since[:, None, 1:], out=scratch("writers", *shape))
    readers, writers = readers.flatten(1, 2), writers.flatten(1, 2)
    products = scratch("products", count, readers.shape[1], 2 * tokens)
    torch.bmm(readers, writers.transpose(1, 2), out=products)
    way = Quotients(since, readers, writers, span)
    return Chunks(readers, writers, since[:, -1:], span, products, way)
