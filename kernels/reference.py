"""Bi-WKV-7 written down plainly: what every other backend must compute.

Letters, as in the paper: B batch, T tokens, H heads, N = 64 channels a head; r receptance, w log-log decay, k key,
v value, a and b the removal and replacement vectors, S the state (rows = value channels, columns = key channels).
"""

import torch
from torch import Tensor

# exp(-exp(w)) is 0 in every floating type long before this, and exp(w) is still finite: without the bound a huge w
# gives 0 * inf = NaN as its gradient.
MAX_LOG_LOG_DECAY = 80.0

Gradients = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


def decay(w: Tensor) -> Tensor:
    """Per-step factor d = exp(-exp(w)), in [0, 1]."""
    return torch.exp(-torch.exp(w.clamp(max=MAX_LOG_LOG_DECAY)))


def wkv7_sweep(
    r: Tensor, w: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, state: Tensor, reverse: bool = False
) -> tuple[Tensor, Tensor]:
    """One direction over a stretch of tokens, from the state that the stretch before it has left.

    Parameters
    ----------
    r, w, k, v, a, b : Tensor, ``(B, T, H, N)``
        w is the log-log decay.
    state : Tensor, ``(B, H, N, N)``
        Left as it is.
    reverse : bool
        Run from the last token to the first.

    Returns
    -------
    y : Tensor, ``(B, T, H, N)``
        In the order of the tokens.
    state : Tensor, ``(B, H, N, N)``
        After the token that came last.
    """
    tokens = r.shape[1]
    d = decay(w)
    S = state
    y: list[Tensor] = [r] * tokens
    for t in reversed(range(tokens)) if reverse else range(tokens):
        s = (S * a[:, t, :, None, :]).sum(-1)  # (B, H, N)
        S = (
            S * d[:, t, :, None, :]
            + s[..., None] * b[:, t, :, None, :]
            + v[:, t, :, :, None] * k[:, t, :, None, :]
        )
        y[t] = (S * r[:, t, :, None, :]).sum(-1)
    return torch.stack(y, dim=1), S


def wkv7(r: Tensor, w: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """One direction, t = 1..T, from a zero state. All ``(B, T, H, N)``; differentiable."""
    batch, _, heads, channels = r.shape
    return wkv7_sweep(r, w, k, v, a, b, r.new_zeros(batch, heads, channels, channels))[0]


def bi_wkv7(r: Tensor, w: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, gate: Tensor) -> Tensor:
    """Both directions, fused: ``gate * forward + (1 - gate) * backward``.

    Parameters
    ----------
    r, w, k, v, a, b : Tensor, ``(B, T, H, N)``
        w is the log-log decay.
    gate : Tensor, ``(B, T, H)``

    Returns
    -------
    Tensor, ``(B, T, H, N)``
    """
    inputs = (r, w, k, v, a, b)
    forward = wkv7(*inputs)
    backward = wkv7(*(x.flip(1) for x in inputs)).flip(1)
    return gate[..., None] * forward + (1 - gate[..., None]) * backward


def _wkv7_gradients(
    dy: Tensor, g: Tensor, r: Tensor, w: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor
) -> Gradients:
    """Gradients of one direction whose output is scaled by g ``(B, T, H)``; the last one belongs to g."""
    d = decay(w)
    S = r.new_zeros(*r.shape[:1], r.shape[2], r.shape[3], r.shape[3])
    states = [S]  # the state before each token, and the last
    for t in range(r.shape[1]):
        s = (S * a[:, t, :, None, :]).sum(-1)
        S = (
            S * d[:, t, :, None, :]
            + s[..., None] * b[:, t, :, None, :]
            + v[:, t, :, :, None] * k[:, t, :, None, :]
        )
        states.append(S)
    dr, dw, dk, dv, da, db = (torch.empty_like(x) for x in (r, w, k, v, a, b))
    dg = torch.empty_like(g)
    G = torch.zeros_like(S)  # gradient of the loss by the state
    for t in reversed(range(r.shape[1])):
        before, S = states[t], states[t + 1]
        s = (before * a[:, t, :, None, :]).sum(-1)
        rho = (S * dy[:, t, :, :, None]).sum(-2)
        dr[:, t] = rho * g[:, t, :, None]
        dg[:, t] = (rho * r[:, t]).sum(-1)
        G = G + (dy[:, t] * g[:, t, :, None])[..., None] * r[:, t, :, None, :]
        ds = (G * b[:, t, :, None, :]).sum(-1)
        dv[:, t] = (G * k[:, t, :, None, :]).sum(-1)
        dk[:, t] = (G * v[:, t, :, :, None]).sum(-2)
        db[:, t] = (G * s[..., None]).sum(-2)
        da[:, t] = (before * ds[..., None]).sum(-2)
        dw[:, t] = (G * before).sum(-2) * -torch.exp(w[:, t] - torch.exp(w[:, t]))
        G = G * d[:, t, :, None, :] + ds[..., None] * a[:, t, :, None, :]
    return dr, dw, dk, dv, da, db, dg


def bi_wkv7_backward(
    dy: Tensor, r: Tensor, w: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, gate: Tensor
) -> Gradients:
    """Gradients of `bi_wkv7` by r, w, k, v, a, b and gate, for the gradient dy of its output.

    Written out, because autograd does not record inside a custom operator; a test holds it against autograd.
    """
    inputs = (r, w, k, v, a, b)
    *forward, dgate_forward = _wkv7_gradients(dy, gate, *inputs)
    flipped = _wkv7_gradients(dy.flip(1), 1 - gate.flip(1), *(x.flip(1) for x in inputs))
    *backward, dgate_backward = (x.flip(1) for x in flipped)
    dr, dw, dk, dv, da, db = (f + g for f, g in zip(forward, backward, strict=True))
    return dr, dw, dk, dv, da, db, dgate_forward - dgate_backward
