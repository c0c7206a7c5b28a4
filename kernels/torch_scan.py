"""From one chunk to the next: all of Bi-WKV-7 that has to wait for the state before it."""

import torch
from torch import Tensor

from .torch_scratch import Scratch

Step = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor | None, Tensor, Tensor]


def scan(
    readers: Tensor,
    found: Tensor,
    writers: Tensor,
    given: Tensor,
    decay: Tensor,
    states: Tensor,
    span: int,
    scratch: Scratch,
    reverse: bool = False,
) -> None:
    """Run through chunks one after the other, in place.

    Few products, and as large as they can be: here it is their number that takes time.

    Parameters
    ----------
    readers, found : Tensor, ``(X, C or 2 * C, N)``
        What readers find in the state is added to what they have found elsewhere. The first C rows of that are written
        into the state.
    writers : Tensor, ``(X, 2 * C, N)``
        The first C write what was found, the others what is given.
    given : Tensor, ``(X, C, N)``
    decay : Tensor, ``(X, 1, N)``
    states : Tensor, ``(n + 1, M, N, N)`` or ``(1, M, N, N)``
        The first is given. Becomes the state before each chunk, and after the last; or only that after the last, if
        there is room for one.
    span : int
        As `Chunks.span`.
    scratch : Scratch
    reverse : bool
        From the last chunk to the first: the last state is given. With a span, decays then come before all else. So the
        states become what readers read, behind decays; only the first one, which is read by none, is not.
    """

    def cut(
        readers: Tensor, found: Tensor, writers: Tensor, given: Tensor, decay: Tensor, states: Tensor
    ) -> list[Step]:
        tokens, sequences = given.shape[1], states.shape[1]

        def in_turn(x: Tensor) -> tuple[Tensor, ...]:
            return x.view(-1, sequences, *x.shape[1:]).unbind()

        factors: list[Tensor | None] = [*in_turn(decay.transpose(1, 2))]
        if span:
            factors[:-1] = [x if (i + 1) % span == 0 else None for i, x in enumerate(factors[:-1])]
            if reverse:
                factors = [None, *factors[:-1]]
        before = [*states[:-1].unbind()] or [states[0]] * len(factors)
        after = [*states[1:].unbind()] or before
        if reverse:
            before, after = after, before
        steps = zip(
            in_turn(readers),
            in_turn(found),
            in_turn(found[:, :tokens]),
            in_turn(writers[:, :tokens].transpose(1, 2)),
            in_turn(writers[:, tokens:].transpose(1, 2)),
            in_turn(given),
            factors,
            before,
            after,
            strict=True,
        )
        return [*steps][::-1] if reverse else [*steps]

    name = "steps back" if reverse else "steps"
    steps = scratch.pieces(name, cut, readers, found, writers, given, decay, states)
    if reverse and span:
        states[-1] *= decay[-states.shape[1] :].transpose(1, 2)
    for reader, finds, first, by_first, by_second, second, factor, old, new in steps:
        finds.baddbmm_(reader, old)
        if span:
            torch.baddbmm(old, by_first, first, out=new).baddbmm_(by_second, second)
            if factor is not None:
                new.mul_(factor)
        elif factor is not None:
            torch.mul(old, factor, out=new).baddbmm_(by_first, first).baddbmm_(by_second, second)
