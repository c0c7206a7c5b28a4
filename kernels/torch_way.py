"""Parts of Bi-WKV-7 all the way, stretch by stretch, from whole sequences and back to them.

All of this, and what it calls, keeps to what TorchScript knows: see `torch_script`.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from . import torch_halves, torch_quotients
from .torch_chunk_gradients import gradients as chunk_gradients
from .torch_chunks import Constants
from .torch_run import run
from .torch_scratch import Scratch, memory
from .torch_stretch import Place, Places, Tokens, cut_into, put, rates, shares, stretch, stretch_count


class Given(NamedTuple):
    """What a part goes its way with.

    Attributes
    ----------
    tokens : Tokens
        With a gate, if gradients are wanted.
    places : Places
    span : int
        As `torch_quotients.longest_span` gives it.
    constants : Constants
    scratch : Scratch
    """

    tokens: Tokens
    places: Places
    span: int
    constants: Constants
    scratch: Scratch


def values(given: Given, state: Tensor, y: Tensor) -> None:
    """Values of one part.

    Parameters
    ----------
    given : Given
    state : Tensor, ``(M, N, N)``
        Key channels × value channels, before the first stretch; becomes that after the last.
    y : Tensor, ``(directions, batch, T, heads, N)``
        Of the part, to be filled in.
    """
    for which in range(stretch_count(given.places)):
        place = stretch(given.places, which)
        put(value(given, place, state, True), 1, place, y, given.scratch)


def value(given: Given, place: Place, state: Tensor, wants_y: bool) -> Tensor:
    """s, or s and y, of one stretch, ``(X, C or 2 * C, N)``, in scratch memory. The state becomes that after it."""
    tokens, span, constants, scratch = given.tokens, given.span, given.constants, given.scratch
    if span > 0:
        chunks, _ = torch_quotients.prepare(tokens, place, span, wants_y, constants, scratch)
    else:
        chunks, _ = torch_halves.prepare(tokens, place, False, constants, scratch)
    v = cut_into("v", tokens.v, place, scratch)
    return run(chunks, v, state[None], wants_y, constants, scratch).found


def gradients(given: Given, state: Tensor, dy: Tensor, dtokens: list[Tensor]) -> None:
    """Gradients of one part. States are kept where stretches begin; all else is computed again.

    Parameters
    ----------
    given : Given
    state : Tensor, ``(M, N, N)``
        Before the first stretch; overwritten.
    dy : Tensor, ``(B * T * H, N)``
        Gradient of y.
    dtokens : list of Tensor, ``(directions, batch, T, heads, N)``
        By r, w, k, v, a, b of the part, and by its gate, ``(directions, batch, T, heads, 1)``, to be filled in.
    """
    before = [state.clone()]
    count = stretch_count(given.places)
    for which in range(count - 1):
        value(given, stretch(given.places, which), state, False)
        before.append(state.clone())
    dstate = memory(given.scratch, "dstate", list(state.shape)).zero_()
    for done in range(count):
        which = count - 1 - done
        gradient(given, stretch(given.places, which), before[which], dstate, dy, dtokens)


def gradient(
    given: Given, place: Place, state: Tensor, dstate: Tensor, dy: Tensor, dtokens: list[Tensor]
) -> None:
    """Gradients of one stretch, from the state before it and the gradient by that after it.

    That becomes the one by the state before it.
    """
    tokens, span, constants, scratch = given.tokens, given.span, given.constants, given.scratch
    gate = tokens.gate
    assert gate is not None
    count = place.rows.shape[0] // (place.chunk * place.sequences) + 1
    shape = [count, place.sequences, state.shape[1], state.shape[2]]
    states, dstates = memory(scratch, "states", shape), memory(scratch, "dstates", shape)
    states[0] = state
    dstates[-1] = dstate
    v, d_y = cut_into("v", tokens.v, place, scratch), cut_into("dy", dy, place, scratch)
    if span > 0:
        chunks, since = torch_quotients.prepare(tokens, place, span, True, constants, scratch)
        passed = run(chunks, v, states, False, constants, scratch)
        found = chunk_gradients(chunks, passed, v, d_y, states, dstates, scratch)
        by_tokens = torch_quotients.back(chunks, since, found, states, dstates, constants, scratch)
    else:
        chunks, halvings = torch_halves.prepare(tokens, place, True, constants, scratch)
        passed = run(chunks, v, states, False, constants, scratch)
        found = chunk_gradients(chunks, passed, v, d_y, states, dstates, scratch)
        by_tokens = torch_halves.back(halvings, found, states, dstates)
    dstate.copy_(dstates[0])
    share = shares(gate, place)
    dscaled = by_tokens.readers[:, place.chunk :]
    bare = cut_into("bare r", tokens.r, place, scratch)
    dshare = torch.mul(dscaled, bare, out=bare).sum(-1, keepdim=True)
    dshare.view(-1, place.sequences, place.chunk)[:, place.second :].neg_()  # its share is 1 - gate
    dscaled *= share
    log_d = by_tokens.log_d
    log_d.mul_(rates(tokens, place, constants, scratch, bounded=span > 0)).neg_()  # a decay is exp(-exp(w))
    put(by_tokens.readers, 1, place, dtokens[0], scratch)
    put(log_d, 0, place, dtokens[1], scratch)
    put(by_tokens.writers, 1, place, dtokens[2], scratch)
    put(found.found, 1, place, dtokens[3], scratch)
    put(by_tokens.readers, 0, place, dtokens[4], scratch)
    put(by_tokens.writers, 0, place, dtokens[5], scratch)
    put(dshare, 0, place, dtokens[6], scratch)
