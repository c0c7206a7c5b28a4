"""The backend ``torch``: Bi-WKV-7 in chunks, in plain torch, for every device that has no kernel of its own.

Sequences go through in stretches of some chunks, both directions side by side: the first from the beginning, the second
from the end. What is needed on the way is of the size of a stretch, but for the decays, which both directions share.
"""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor

from . import torch_halves, torch_quotients
from .reference import MAX_LOG_LOG_DECAY, Gradients
from .torch_chunk_gradients import gradients
from .torch_chunks import CHUNK, LOG2_E
from .torch_run import Run, run
from .torch_scratch import Scratch, scratch_memory
from .torch_stretch import Stretch, stretches

BOTH = (False, True)
"""The two directions: as time runs, and reversed."""


class Sequences:
    """Whole sequences, from which stretches are taken.

    Parameters
    ----------
    scratch : Scratch
    r, w, k, v, a, b : Tensor, ``(B, T, H, N)``
        w is the log-log decay.
    gate : Tensor, ``(B, T, H)``, optional
        What it gives a direction of y is taken from r, in which y is linear.
    """

    def __init__(
        self,
        scratch: Scratch,
        r: Tensor,
        w: Tensor,
        k: Tensor,
        v: Tensor,
        a: Tensor,
        b: Tensor,
        gate: Tensor | None = None,
    ) -> None:
        named = (("r", r), ("k", k), ("v", v), ("a", a), ("b", b))
        self._tensors = {name: x.contiguous() for name, x in named}
        rate = scratch("rates", *w.shape)
        torch.clamp(w.to(precision(w)), max=MAX_LOG_LOG_DECAY, out=rate).mul_(LOG2_E).exp2_()
        self._tensors["rate"] = rate
        self._gate = None if gate is None else gate.to(precision(w)).contiguous()
        self._span = torch_quotients.longest_span(w)
        self._prepare = torch_quotients.prepare if self._span else torch_halves.prepare
        self.scratch = scratch

    def run(self, stretch: Stretch, state: Tensor, wants_y: bool = True, keep: bool = False) -> Run:
        """Take a stretch from a state ``(M, N, N)``, key channels × value channels.

        Gradients need what is there to ``keep``.
        """

        def tokens(names: str) -> Tensor:
            if names == "rate":
                return self.rate(stretch)
            count, *rest = stretch.shape
            gathered = self.scratch("gathered", len(names), count, *rest)
            for name, out in zip(names, gathered.unbind(), strict=True):
                stretch.gather(self._tensors[name], out)
                if name == "r" and self._gate is not None:
                    out *= self.shares(stretch)
            return gathered.transpose(0, 1)

        chunks = self._prepare(tokens, self.scratch, stretch.sequences, self._span, wants_y, keep)
        v = self.gather(stretch, self._tensors["v"], "v")
        return run(chunks, v, state, self.scratch, wants_y, keep)

    def rate(self, stretch: Stretch) -> Tensor:
        """Minus the logarithm of the decays, ``(X, C, N)``. Tokens that aren't there leave the state alone."""
        return self.gather(stretch, self._tensors["rate"], "rate")

    def gather(self, stretch: Stretch, x: Tensor, name: str) -> Tensor:
        """Chunks ``(X, C, N)`` of contiguous ``x`` ``(B, T, H, N)`` in the scratch memory of that name."""
        return stretch.gather(x, self.scratch(name, *stretch.shape))

    def shares(self, stretch: Stretch) -> Tensor:
        """Of both directions in y, ``(X, C, 1)``."""
        if self._gate is None:
            raise ValueError("no gate, no shares")
        return stretch.shares(self._gate)


def precision(x: Tensor) -> torch.dtype:
    """In which to compute: float64 for that, float32 for all else."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32


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
    with exactly(v), scratch_memory(precision(v), v.device) as scratch:
        whole, share = Sequences(scratch, r, w, k, v, a, b), gate.to(precision(v))[..., None]
        shares = share, 1 - share
        y = v.new_zeros(v.shape, dtype=precision(v))
        state = empty_state(y, 2)
        for stretch in stretches(y, BOTH):
            passed = whole.run(stretch, state)
            state = passed.states[-1]
            stretch.add_to((None, y), passed.found, scratch, shares)
        return y.to(v.dtype)


def backward(
    dy: Tensor, r: Tensor, w: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, gate: Tensor
) -> Gradients:
    """Gradients of `forward` by its seven inputs, each in its input's dtype, for the gradient dy of y.

    States are kept where stretches begin; all else is computed again.
    """
    with exactly(v), scratch_memory(precision(v), v.device) as scratch:
        whole, dy, r = Sequences(scratch, r, w, k, v, a, b, gate), dy.contiguous(), r.contiguous()
        dr, dw, dk, dv, da, db = (v.new_zeros(v.shape, dtype=precision(v)) for _ in range(6))
        dgate = dv.new_zeros(*gate.shape, 1)
        state = empty_state(dv, 2)
        parts, states = stretches(dv, BOTH), [state]
        for stretch in parts[:-1]:
            states.append(whole.run(stretch, states[-1], wants_y=False).states[-1].clone())
        for stretch, before in zip(reversed(parts), reversed(states), strict=True):
            passed = whole.run(stretch, before, wants_y=False, keep=True)
            found = gradients(passed, whole.gather(stretch, dy, "dy"), state, scratch)
            state = found.state
            dscaled = found.tokens.readers[:, CHUNK:]
            bare = whole.gather(stretch, r, "bare r")
            dshare = torch.mul(dscaled, bare, out=bare).sum(-1, keepdim=True)
            stretch.second_direction(dshare).neg_()  # its share is 1 - gate
            dscaled *= whole.shares(stretch)
            found.tokens.log_d.mul_(whole.rate(stretch)).neg_()  # a decay is exp(-exp(w))
            stretch.add_to((dgate,), dshare, scratch)
            stretch.add_to((da, dr), found.tokens.readers, scratch)
            stretch.add_to((db, dk), found.tokens.writers, scratch)
            stretch.add_to((dw,), found.tokens.log_d, scratch)
            stretch.add_to((None, dv), found.found, scratch)
        return (
            dr.to(r.dtype),
            dw.to(w.dtype),
            dk.to(k.dtype),
            dv.to(v.dtype),
            da.to(a.dtype),
            db.to(b.dtype),
            dgate[..., 0].to(gate.dtype),
        )


def empty_state(like: Tensor, directions: int) -> Tensor:
    """``(M, N, N)``, for sequences ``(B, T, H, N)``."""
    batch, _, heads, channels = like.shape
    return like.new_zeros(directions * batch * heads, channels, channels)


def sweep(
    r: Tensor, w: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, state: Tensor, reverse: bool
) -> tuple[Tensor, Tensor]:
    """As `sweep_op.wkv7_sweep`."""
    with exactly(v), scratch_memory(precision(v), v.device) as scratch:
        whole = Sequences(scratch, r, w, k, v, a, b)
        y = v.new_zeros(v.shape, dtype=precision(v))
        carried = state.flatten(0, 1).transpose(1, 2)
        for stretch in stretches(y, (reverse,)):
            passed = whole.run(stretch, carried)
            carried = passed.states[-1]
            stretch.add_to((None, y), passed.found, scratch)
        after = torch.empty_like(carried).copy_(carried.transpose(1, 2))
        return y.to(v.dtype), after.view(state.shape)
