"""From one chunk to the next: all of Bi-WKV-7 that has to wait for the state before it."""

import torch
from torch import Tensor

from .torch_scratch import Scratch, in_turn


def scan(
    readers: Tensor,
    found: Tensor,
    writers: Tensor,
    given: Tensor,
    decay: Tensor,
    states: Tensor,
    span: int,
    scratch: Scratch,
    reverse: bool,
) -> None:
    """Run through chunks one after the other, in place.

    Few products, and as large as they can be: here it is their number that takes time. All but ``span`` lies in scratch
    memory, for it is cut only once: see `in_turn`.

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
    tokens, sequences = given.shape[1], states.shape[1]
    name = "back " if reverse else "on "
    reader = in_turn(scratch, name + "readers", readers, sequences, reverse)
    finds = in_turn(scratch, name + "found", found, sequences, reverse)
    first = in_turn(scratch, name + "first", found.narrow(1, 0, tokens), sequences, reverse)
    write_first, write_second = writers.transpose(1, 2).chunk(2, 2)
    by_first = in_turn(scratch, name + "by first", write_first, sequences, reverse)
    by_second = in_turn(scratch, name + "by second", write_second, sequences, reverse)
    second = in_turn(scratch, name + "second", given, sequences, reverse)
    factor = in_turn(scratch, name + "decay", decay.transpose(1, 2), sequences, reverse)
    count, keeps = len(reader), states.shape[0] > 1
    of_states = name + ("states" if keeps else "state")
    state = in_turn(scratch, of_states, states.flatten(0, 1), sequences, reverse)
    if span == 0:
        for i in range(count):
            old, new = state[i if keeps else 0], state[i + 1 if keeps else 0]
            finds[i].baddbmm_(reader[i], old)
            torch.mul(old, factor[i], out=new)
            new.baddbmm_(by_first[i], first[i]).baddbmm_(by_second[i], second[i])
    elif keeps:
        if reverse:
            state[0].mul_(factor[0])
        for i in range(count):
            old, new = state[i], state[i + 1]
            finds[i].baddbmm_(reader[i], old)
            torch.baddbmm(old, by_first[i], first[i], out=new).baddbmm_(by_second[i], second[i])
            if reverse:
                next_ends_its_span = i + 1 < count and (count - 1 - i) % span == 0
                if next_ends_its_span:
                    new.mul_(factor[i + 1])
            elif (i + 1) % span == 0 or i + 1 == count:
                new.mul_(factor[i])
    else:  # the same without all that is only for gradients: here a hundredth of a millisecond counts
        new = state[0]
        for start in range(0, count, span):
            stop = min(start + span, count)
            for i in range(start, stop):
                finds[i].baddbmm_(reader[i], new)
                new.baddbmm_(by_first[i], first[i]).baddbmm_(by_second[i], second[i])
            new.mul_(factor[stop - 1])
