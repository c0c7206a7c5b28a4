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
from .torch_stretch import Stretch, stretches

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
    keep_halves: bool = False,
) -> Run:
    """Take a stretch from a state ``(M, N, N)``, key channels × value channels; d holds the decays themselves."""
    chunks = prepare(
        stretch.chunked(a, r),
        stretch.chunked(b, k),
        one(stretch.chunked(d, fill=1.0)),  # tokens that aren't there leave the state alone
        keep_halves,
    )
    given = one(stretch.chunked(v))  # (n, M, C, N)
    n, sequences, tokens, channels = given.shape
    readers, writers = (x.view(n, sequences, tokens, 2, channels) for x in (chunks.readers, chunks.writers))
    products = chunks.products.view(n, sequences, tokens, 2, tokens, 2)
    found = chunks.solve @ (products[:, :, :, 0, :, 1].contiguous() @ given)
    states = state.new_empty(n + 1, *state.shape)
    states[0] = state
    torch.bmm(
        writers[:, :, :, 1].flatten(0, 1).transpose(1, 2),
        given.flatten(0, 1),
        out=states[1:].view(-1, channels, channels),
    )
    scan(chunks.solve @ readers[:, :, :, 0], found, writers[:, :, :, 0], chunks.decay, states)
    return Run(chunks, torch.stack((found, given), 3), states)


def decays(w: Tensor) -> Tensor:
    """As `reference.decay`, in float32 or float64."""
    exact = w if w.dtype == torch.float64 else w.float()
    return exact.clamp(max=MAX_LOG_LOG_DECAY).exp_().neg_().exp_()


def one(chunked: Tensor) -> Tensor:
    """The only tensor in ``(n, M, C, 1, N)``."""
    return chunked[:, :, :, 0]


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
        y = torch.zeros_like(d)
        state = d.new_zeros(2 * batch * heads, channels, channels)
        for stretch in stretches(d, BOTH):
            passed = run(stretch, r, d, k, v, a, b, state)
            state = passed.states[-1]
            stretch.add_to(y, passed.y() * stretch.shares(gate))
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
        parts = stretches(d, BOTH)
        states = [state]
        for stretch in parts[:-1]:
            states.append(run(stretch, *inputs, states[-1]).states[-1].clone())
        dr, dd, dk, dv, da, db = (torch.zeros_like(d) for _ in inputs)
        dgate = d.new_zeros(*gate.shape, 1)
        for stretch, before in zip(reversed(parts), reversed(states), strict=True):
            passed = run(stretch, *inputs, before, keep_halves=True)
            incoming = one(stretch.chunked(dy))
            dshare = (passed.y() * incoming).sum(-1, keepdim=True)
            found = gradients(
                passed,
                one(stretch.chunked(r)),
                stretch.chunked(b, k),
                one(stretch.chunked(d, fill=1.0)),
                incoming * stretch.shares(gate),
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
        y = torch.zeros_like(d)
        carried = state.flatten(0, 1).transpose(1, 2)
        for stretch in stretches(d, (reverse,)):
            passed = run(stretch, r, d, k, v, a, b, carried)
            carried = passed.states[-1]
            stretch.add_to(y, passed.y())
        return y.to(v.dtype), carried.transpose(1, 2).contiguous().view(state.shape)
