"""The products of readers with writers where decays are not too small: of two matrices, scaled by running products.

With E(i) for the product of the decays of a chunk's tokens up to and including i, the decay D(i, j) from j to i is
E(i) / E(j). So readers times E, and writers divided by it, give all products of a chunk at once. Those where the reader
comes too early are finite, as no E is smaller than `LEAST`, and are struck out.

Where decays are slower still, E begins with the first of two chunks, the *span*. The state within a span is then the
true one divided by E, and has to be decayed only once, at the span's end.
"""

import math

import torch
from torch import Tensor

from .reference import MAX_LOG_LOG_DECAY
from .torch_chunk_gradients import ChunkGradients
from .torch_chunks import CHUNK, SPAN, Chunks, Constants, TokenGradients, by_scale
from .torch_scratch import Scratch, memory
from .torch_stretch import Place, Tokens, rates, readers_of, writers_of

LEAST = 1e-9
"""Of the decay over a span. The model's, 0.545 a token and above, let it be two chunks."""


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


def prepare(
    tokens: Tokens, place: Place, span: int, wants_r: bool, constants: Constants, scratch: Scratch
) -> tuple[Chunks, Tensor]:
    """Chunks of tokens, and the running products with which they were made.

    Parameters
    ----------
    tokens : Tokens
    place : Place
    span : int
        How many chunks share a scale, 1 or more.
    wants_r : bool
        Whether r is among the readers.
    constants : Constants
    scratch : Scratch

    Returns
    -------
    chunks : Chunks
    since : Tensor, ``(X, C + 1, N)``
        Decay since the span's beginning: before the chunk's first token, and after each.
    """
    rate = rates(tokens, place, constants, scratch, bounded=True)
    count, size, channels = rate.shape
    logs = memory(scratch, "logs", [count, size, channels])
    since = memory(scratch, "since", [count, size + 1, channels])
    torch.bmm(constants.sums.expand(count, -1, -1), rate, out=logs)
    logs_in_turn = logs.view([-1, place.sequences, size, channels])
    since_in_turn = since.view([-1, place.sequences, size + 1, channels])
    last = logs_in_turn.narrow(2, size - 1, 1)
    for chunk in range(1, span):
        later = logs_in_turn[chunk::span]
        later += last[chunk - 1 :: span][: later.shape[0]]
    after = since.narrow(1, 1, size)
    torch.exp2(logs, out=after)
    begins, ends = since_in_turn.select(2, 0), since_in_turn.select(2, size)
    begins[::span] = 1
    for chunk in range(1, span):
        later = begins[chunk::span]
        later.copy_(ends[chunk - 1 :: span][: later.shape[0]])
    readers = readers_of(tokens, place, scratch, wants_r)
    scaled = memory(scratch, "readers", list(readers.shape))
    readers = torch.mul(readers, windows(since).narrow(1, 0, readers.shape[1]), out=scaled).flatten(1, 2)
    writers = writers_of(tokens, place, scratch)
    scaled = memory(scratch, "writers", list(writers.shape))
    writers = torch.div(writers, after.unsqueeze(1), out=scaled).flatten(1, 2)
    products = memory(scratch, "products", [count, readers.shape[1], 2 * size])
    torch.bmm(readers, writers.transpose(1, 2), out=products)
    return Chunks(readers, writers, since.narrow(1, size, 1), span, products), since


def windows(since: Tensor) -> Tensor:
    """Running products ``(X, C + 1, N)`` up to the token before each and up to each, ``(X, 2, C, N)``."""
    return since.unfold(1, since.shape[1] - 1, 1).transpose(2, 3)


def back(
    chunks: Chunks,
    since: Tensor,
    found: ChunkGradients,
    states: Tensor,
    dstates: Tensor,
    constants: Constants,
    scratch: Scratch,
) -> TokenGradients:
    """Turn gradients by the members of `Chunks` into those by tokens.

    Parameters
    ----------
    chunks : Chunks
    since : Tensor, ``(X, C + 1, N)``
        As `prepare` gave them.
    found : ChunkGradients
        Overwritten.
    states, dstates : Tensor, ``(n + 1, M, N, N)``
        Before each chunk and after the last, and the gradients by them; but of those behind a decay, the gradients by
        what was still to be decayed. The states are overwritten.
    constants : Constants
    scratch : Scratch
    """
    readers, writers, products = found.readers, found.writers, found.products
    count, rows, channels = readers.shape
    tokens = rows // 2
    pairs, shape = [count, 2, tokens, channels], [count, tokens, channels]
    products *= constants.late_enough
    readers.baddbmm_(products, chunks.writers)
    writers.baddbmm_(products.transpose(1, 2), chunks.readers)
    # By the logarithms of running products: a reader has used that up to its own token, or a up to the one before;
    # what a writer has used, it was divided by. With that of the state, all of a chunk sum up to 0. So the decay of a
    # token, which is in the products of its own and of those after it, gets the rest of what came before.
    by_logs, logs = memory(scratch, "gathered", pairs), memory(scratch, "rate", shape)
    torch.mul(writers, chunks.writers, out=by_logs.view([count, rows, channels]))
    torch.add(by_logs[:, 0, :-1], by_logs[:, 1, :-1], out=logs[:, 1:])
    torch.mul(readers, chunks.readers, out=by_logs.view([count, rows, channels]))
    logs[:, 1:] -= by_logs[:, 1, :-1]
    logs[:, :1] = by_states(states, dstates, since, chunks.span)
    logs -= by_logs[:, 0]
    before = constants.late_enough[tokens:, :tokens].expand(count, -1, -1)
    log_d = torch.bmm(before, logs, out=memory(scratch, "log d", shape))
    readers.view(pairs).mul_(windows(since))
    writers.view(pairs).div_(since[:, None, 1:])
    return TokenGradients(readers, writers, log_d)


def by_states(states: Tensor, dstates: Tensor, since: Tensor, span: int) -> Tensor:
    """Gradients ``(X, 1, N)`` by factors of 1 that scale the key channels of the states before each chunk."""
    chunks, sequences, channels = states.shape[:3]
    found = by_scale(states[:-1], dstates[:-1])
    shape = [chunks - 1, sequences, channels]
    decay = since[:, -1].reshape(shape)[span - 1 : -1 : span]
    later = found.view(shape)[span::span]
    later /= decay  # by which dstates were already multiplied
    return found
