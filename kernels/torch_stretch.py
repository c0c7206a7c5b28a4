"""Stretches of a sequence, in either direction, cut into chunks: the layout in which `torch_chunks` computes."""

import math
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from .torch_chunks import CHUNK, SPAN, Constants
from .torch_parts import Part
from .torch_scratch import Scratch, memory

ELEMENTS_CPU = 2**16
"""Of each input in a stretch of one direction on a CPU: 256 KiB in float32, so that all stays in the caches."""

ELEMENTS = 2**22
"""The same on other devices, which want more work at once."""


class Tokens(NamedTuple):
    """What all tokens have, whole sequences.

    Attributes
    ----------
    r, w, k, v, a, b : Tensor, ``(B * T * H, N)``
        Contiguous; w is the log-log decay.
    gate : Tensor, ``(B * T * H,)``, optional
        What it gives a direction of y is taken from r, in which y is linear.
    """

    r: Tensor
    w: Tensor
    k: Tensor
    v: Tensor
    a: Tensor
    b: Tensor
    gate: Tensor | None


class Rows(NamedTuple):
    """Where stretches of one length lie, of one part.

    Attributes
    ----------
    first : Tensor, ``(n, directions, batch * heads * C)``
        Which row of `Tokens` belongs to each token of the chunks, if it is the first stretch. What the last chunk lacks
        is taken from the last token.
    later : Tensor, ``(directions, 1)``
        By what these change for each token by which a stretch begins later.
    back_one, back_two : Tensor, ``(1 or 2, directions, batch * length * heads)``
        The other way, for results that have one row a token, or two: which row of chunks ``(X * C, N)`` or
        ``(X * 2 * C, N)`` belongs to each token of each direction. Tokens are in their own order.
    """

    first: Tensor
    later: Tensor
    back_one: Tensor
    back_two: Tensor


class Places(NamedTuple):
    """Where the stretches of one part lie in whole sequences.

    Attributes
    ----------
    rows, last_rows : Rows
        Of all stretches but the last, and of that.
    reversed : list of bool
        Whether each direction is.
    tokens, length : int
        T, and how many of them to a stretch.
    chunk : int
        C.
    sequences : int
        M: directions, sequences and heads.
    second : int
        The first of these that runs against time.
    """

    rows: Rows
    last_rows: Rows
    reversed: list[bool]
    tokens: int
    length: int
    chunk: int
    sequences: int
    second: int


class Place(NamedTuple):
    """Where one stretch of one part lies.

    Attributes
    ----------
    rows : Tensor, ``(X * C,)``
        Which row of `Tokens` belongs to each token of the chunks.
    back_one, back_two : Tensor
        As in `Rows`.
    starts : list of int
        The first token of each direction, as time runs.
    length : int
        How many tokens.
    chunk, sequences, second : int
        As in `Places`.
    rest : int
        How many tokens the last chunk has, or 0 if it lacks none. What it lacks counts as 0.
    """

    rows: Tensor
    back_one: Tensor
    back_two: Tensor
    starts: list[int]
    length: int
    chunk: int
    sequences: int
    second: int
    rest: int


def stretch_count(places: Places) -> int:
    """How many stretches there are."""
    return (places.tokens + places.length - 1) // places.length


def stretch(places: Places, which: int) -> Place:
    """One of them, in the order in which each direction meets them."""
    start = which * places.length
    stop = min(start + places.length, places.tokens)
    rows = places.last_rows if which + 1 == stretch_count(places) else places.rows
    return Place(
        torch.add(rows.first, rows.later, alpha=start).view(-1),
        rows.back_one,
        rows.back_two,
        [places.tokens - stop if reverse else start for reverse in places.reversed],
        stop - start,
        places.chunk,
        places.sequences,
        places.second,
        (stop - start) % places.chunk,
    )


def cut(x: Tensor, place: Place, out: Tensor) -> Tensor:
    """Cut ``x`` ``(B * T * H, N)`` into chunks, and return contiguous ``out`` ``(X, C, N)`` with them."""
    rows = out.view(-1, x.shape[1])
    if x.dtype == out.dtype:
        torch.index_select(x, 0, place.rows, out=rows)
    else:
        rows.copy_(x.index_select(0, place.rows))
    return end(out, place)


def end(x: Tensor, place: Place) -> Tensor:
    """Set to 0 what the last of chunks ``(X, C, N)`` lacks."""
    if place.rest > 0:
        x[-place.sequences :, place.rest :].zero_()
    return x


def cut_into(name: str, x: Tensor, place: Place, scratch: Scratch) -> Tensor:
    """The same, into scratch memory of that name."""
    shape = [place.rows.shape[0] // place.chunk, place.chunk, x.shape[1]]
    return cut(x, place, memory(scratch, name, shape))


def rates(tokens: Tokens, place: Place, constants: Constants, scratch: Scratch, bounded: bool) -> Tensor:
    """Minus the logarithms of the decays, ``(X, C, N)``. Tokens that aren't there leave the state alone."""
    rate = cut_into("rate", tokens.w, place, scratch)
    if not bounded:
        rate.clamp_(max=constants.most_w)
    return end(rate.mul_(constants.log2_e).exp2_(), place)


def shares(gate: Tensor, place: Place) -> Tensor:
    """Of each direction in y, ``(X, C, 1)``."""
    share = gate.index_select(0, place.rows).view(-1, place.sequences, place.chunk)
    share[:, place.second :].neg_().add_(1)
    return share.view(-1, place.chunk, 1)


def gather(tensors: list[Tensor], place: Place, scratch: Scratch) -> Tensor:
    """One or two in chunks, ``(X, 1 or 2, C, N)``, until others are gathered."""
    shape = [2, place.rows.shape[0] // place.chunk, place.chunk, tensors[0].shape[1]]
    gathered = memory(scratch, "gathered", shape)[: len(tensors)]
    for x, out in zip(tensors, gathered.unbind()):  # noqa: B905 (TorchScript's zip knows no strict)
        cut(x, place, out)
    return gathered.transpose(0, 1)


def readers_of(tokens: Tokens, place: Place, scratch: Scratch, wants_r: bool) -> Tensor:
    """a, or a and r, as `gather` gives them; r with each direction's share in y, if there is a gate."""
    gate = tokens.gate
    if not wants_r:
        return gather([tokens.a], place, scratch)
    readers = gather([tokens.a, tokens.r], place, scratch)
    if gate is not None:
        readers.select(1, 1).mul_(shares(gate, place))
    return readers


def writers_of(tokens: Tokens, place: Place, scratch: Scratch) -> Tensor:
    """b and k, as `gather` gives them."""
    return gather([tokens.b, tokens.k], place, scratch)


def put(found: Tensor, which: int, place: Place, whole: Tensor, scratch: Scratch) -> None:
    """Put what was found where it belongs.

    Parameters
    ----------
    found : Tensor, ``(X, C or 2 * C, N)``
        Contiguous.
    which : int
        0, or 1 for the second C of 2 * C rows.
    place : Place
    whole : Tensor, ``(directions, batch, T, heads, N)``
        Of the part, one for each direction.
    scratch : Scratch
    """
    back = place.back_one if found.shape[1] == place.chunk else place.back_two
    rows = found.view(-1, found.shape[2])
    for direction in range(whole.shape[0]):
        start = place.starts[direction]
        out = whole[direction, :, start : start + place.length]
        if out.is_contiguous() and out.dtype == found.dtype:
            torch.index_select(rows, 0, back[which, direction], out=out.view(-1, found.shape[2]))
        else:
            ordered = memory(scratch, "ordered", list(out.shape))
            torch.index_select(rows, 0, back[which, direction], out=ordered.view(-1, found.shape[2]))
            out.copy_(ordered)


@lru_cache(maxsize=256)  # two for each part
def rows_of(length: int, tokens: int, heads: int, part: Part, device: torch.device) -> Rows:
    """Those of a part of sequences ``(B, T, H)``."""
    with torch.inference_mode(False):  # or nobody outside of that mode could use them later
        steps = torch.arange(-(-length // CHUNK) * CHUNK, device=device).clamp_(max=length - 1)
        steps = steps.view(-1, 1, 1, 1, CHUNK)
        times = torch.cat([tokens - 1 - steps if reverse else steps for reverse in part.directions], 1)
        sequences = torch.arange(*part.batch, device=device).view(-1, 1, 1) * tokens
        rows = (times + sequences) * heads + torch.arange(*part.heads, device=device).view(-1, 1)
        later = torch.tensor([-heads if reverse else heads for reverse in part.directions], device=device)
        back = (rows_of_tokens(length, part, count, device) for count in (1, 2))
        return Rows(rows.flatten(2), later.view(-1, 1), *back)


def rows_of_tokens(length: int, part: Part, count: int, device: torch.device) -> Tensor:
    """Which row of a part's chunks ``(n, directions, batch, heads, count, C)`` belongs to each token, as in `Rows`."""
    shape = (-(-length // CHUNK), len(part.directions), part.sequences, part.width, count, CHUNK)
    rows = torch.arange(math.prod(shape), device=device).view(shape).permute(1, 4, 2, 0, 5, 3)
    rows = rows.reshape(len(part.directions), count, part.sequences, -1, part.width)[:, :, :, :length]
    parts = [x.flip(2) if reverse else x for reverse, x in zip(part.directions, rows, strict=True)]
    return torch.stack(parts, 1).flatten(2)


def stretch_length(part: Part, channels: int, device: torch.device) -> int:
    """How many tokens of a part to take at once, in whole spans."""
    most = ELEMENTS_CPU if device.type == "cpu" else ELEMENTS
    span = SPAN * CHUNK
    return max(most // (part.sequences * part.width * channels * span), 1) * span


def places(shape: torch.Size, part: Part, device: torch.device) -> Places:
    """A part of sequences ``(B, T, H, N)`` in stretches, all but the last of whole spans."""
    _, tokens, heads, channels = shape
    length = min(stretch_length(part, channels, device), tokens)
    last = tokens - (tokens - 1) // length * length
    return Places(
        rows_of(length, tokens, heads, part, device),
        rows_of(last, tokens, heads, part, device),
        list(part.directions),
        tokens,
        length,
        CHUNK,
        part.breadth,
        part.breadth // len(part.directions) * part.directions.count(False),
    )
