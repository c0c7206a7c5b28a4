"""The backend ``torch``: Bi-WKV-7 in chunks, in plain torch, for every device that has no kernel of its own.

Sequences go through in stretches of some chunks, both directions side by side: the first from the beginning, the second
from the end. What is needed on the way is of the size of a stretch.
"""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor

from .reference import MAX_LOG_LOG_DECAY, Gradients
from .torch_chunk_gradients import gradients
from .torch_chunks import Run, prepare, scan
from .torch_stretch import Scratch, Stretch, stretches

BOTH = (False, True)
"""The two directions: as time runs, and reversed."""


def run(
    stretch: Stretch,
    r: Tensor,
    d: Tensor,
    k: Tensor,
    v: Tensor,
    a: Tensor,
    b: Tensor,
    state: Tensor,
    scratch: Scratch,
    keep_halves: bool = False,
) -> Run:
    """Take a stretch from a state ``(M, N, N)``, key channels × value channels; d holds the decays themselves.

    The result lies in the scratch memory.
    """
    n, sequences, tokens, channels = shape = stretch.shape(d)
    readers, writers, contents = (
        scratch(name, n, sequences, tokens, 2, channels) for name in ("readers", "writers", "contents")
    )
    for pairs, tensors in ((readers, (a, r)), (writers, (b, k))):
        for i, x in enumerate(tensors):
            stretch.gather(x, pairs[:, :, :, i])
    decay = stretch.gather(
        d, scratch("d", *shape), fill=1.0
    )  # tokens that aren't there leave the state alone
    products = scratch("products", n * sequences, tokens, 2, tokens, 2)
    chunks = prepare(readers, writers, decay, products.zero_(), keep_halves)
    given = stretch.gather(v, contents[:, :, :, 1]).flatten(0, 1)
    solve = chunks.solve.view(-1, tokens, tokens)
    found = torch.bmm(products[:, :, 0, :, 1].contiguous(), given)
    found = torch.bmm(solve, found, out=scratch("found", *found.shape)).view(shape)
    seeing = torch.bmm(solve, readers[:, :, :, 0].flatten(0, 1), out=scratch("seeing", *given.shape)).view(
        shape
    )
    states = scratch("states", n + 1, *state.shape)
    states[0] = state
    torch.bmm(
        writers[:, :, :, 1].flatten(0, 1).transpose(1, 2),
        given,
        out=states[1:].view(-1, channels, channels),
    )
    scan(seeing, found, writers[:, :, :, 0], chunks.decay, states)
    contents[:, :, :, 0] = found
    return Run(chunks, contents, states)


def decays(w: Tensor) -> Tensor:
    """As `reference.decay`, in float32 or float64."""
    exact = w if w.dtype == torch.float64 else w.float()
    return exact.clamp(max=MAX_LOG_LOG_DECAY).exp_().neg_().exp_()


@contextlib.contextmanager
def exactly(x: Tensor) -> Iterator[None]:
    """No products in half precision, whatever autocast stands around the operator."""
    kind = x.device.type
    if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):
        with torch.autocast(kind, enabled=False):
            yield
    else:
        yield


def forward(r: Tensor, w: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, gate: Tensor) -> Tensor:
    """As `op.bi_wkv7`."""
    with exactly(v):
        d = decays(w)
        batch, _, heads, channels = v.shape
        y, scratch = torch.zeros_like(d), Scratch(d)
        state = d.new_zeros(2 * batch * heads, channels, channels)
        for stretch in stretches(d, BOTH):
            passed = run(stretch, r, d, k, v, a, b, state, scratch)
            state = passed.states[-1]
            stretch.add_to(y, passed.y().mul_(stretch.shares(gate, scratch)))
        return y.to(v.dtype)


def backward(
    dy: Tensor, r: Tensor, w: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, gate: Tensor
) -> Gradients:
    """Gradients of `forward` by its seven inputs, each in its input's dtype, for the gradient dy of y.

    States are kept where stretches begin; all else is computed again.
    """
    with exactly(v):
        d = decays(w)
        inputs = (r, d, k, v, a, b)
        batch, _, heads, channels = v.shape
        state = d.new_zeros(2 * batch * heads, channels, channels)
        parts, scratch = stretches(d, BOTH), Scratch(d)
        states = [state]
        for stretch in parts[:-1]:
            states.append(run(stretch, *inputs, states[-1], scratch).states[-1].clone())
        dr, dd, dk, dv, da, db = (torch.zeros_like(d) for _ in inputs)
        dgate = d.new_zeros(*gate.shape, 1)
        for stretch, before in zip(reversed(parts), reversed(states), strict=True):
            passed = run(stretch, *inputs, before, scratch, keep_halves=True)
            n, sequences, tokens, channels = shape = stretch.shape(d)
            incoming = stretch.gather(dy, scratch("dy", *shape))
            dshare = (passed.y() * incoming).sum(-1, keepdim=True)
            writers = scratch("bare writers", n, sequences, tokens, 2, channels)
            for i, x in enumerate((b, k)):
                stretch.gather(x, writers[:, :, :, i])
            found = gradients(
                passed,
                stretch.gather(r, scratch("r", *shape)),
                writers,
                scratch("d", *shape),
                incoming.mul_(stretch.shares(gate, scratch)),
                state,
            )
            state = found.state
            (da_part, dr_part), (db_part, dk_part) = found.readers.unbind(3), found.writers.unbind(3)
            stretch.add_to(dr, dr_part)
            stretch.add_to(dd, found.d)
            stretch.add_to(dk, dk_part)
            stretch.add_to(dv, found.v)
            stretch.add_to(da, da_part)
            stretch.add_to(db, db_part)
            dshare.view(dshare.shape[0], 2, -1)[:, 1].neg_()  # the second direction's share is 1 - gate
            stretch.add_to(dgate, dshare)
        exact = w.to(d.dtype)
        dw = dd.mul_(-torch.exp(exact - torch.exp(exact)))
        return (
            dr.to(r.dtype),
            dw.to(w.dtype),
            dk.to(k.dtype),
            dv.to(v.dtype),
            da.to(a.dtype),
            db.to(b.dtype),
            dgate[..., 0].to(gate.dtype),
        )


def sweep(
    r: Tensor, w: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, state: Tensor, reverse: bool
) -> tuple[Tensor, Tensor]:
    """As `sweep_op.wkv7_sweep`."""
    with exactly(v):
        d = decays(w)
        y, scratch = torch.zeros_like(d), Scratch(d)
        carried = state.flatten(0, 1).transpose(1, 2)
        for stretch in stretches(d, (reverse,)):
            passed = run(stretch, r, d, k, v, a, b, carried, scratch)
            carried = passed.states[-1]
            stretch.add_to(y, passed.y())
        return y.to(v.dtype), carried.transpose(1, 2).contiguous().view(state.shape)
