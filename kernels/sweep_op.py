"""The operator ``arwkv::wkv7_sweep``: one direction over a stretch, for sequences too long to be held at once."""

import torch
from torch import Tensor

from . import registry
from .op import check
from .operator import register_operator


def wkv7_sweep(
    r: Tensor,
    w: Tensor,
    k: Tensor,
    v: Tensor,
    a: Tensor,
    b: Tensor,
    state: Tensor | None = None,
    reverse: bool = False,
) -> tuple[Tensor, Tensor]:
    """RWKV-7 recurrence in one direction, from a state that is given to one that is returned.

    What a sequence gives does not depend on how it is cut into stretches. With S for the state and d = exp(-exp(w))::

        S_t = S_{t-1} diag(d_t) + (S_{t-1} a_t) b_t^T + v_t k_t^T;   y_t = S_t r_t

    Parameters
    ----------
    r, w, k, v, a, b : Tensor, ``(B, T, H, 64)``
        As for `bi_wkv7`.
    state : Tensor, ``(B, H, 64, 64)``, optional
        What the stretch before this one has left, rows = value channels, columns = key channels; float32, or
        float64 with float64. Not changed. Zeros by default, as at the start of a sequence.
    reverse : bool
        Run from the last token to the first; "before" is then what follows in time.

    Returns
    -------
    y : Tensor, ``(B, T, H, 64)``
        In the dtype of v and in the order of the tokens. Not differentiable: this is for inference.
    state : Tensor, ``(B, H, 64, 64)``
        For the next stretch.

    Raises
    ------
    TypeError, ValueError
        As `bi_wkv7`; also if the state's dtype, shape or device does not fit.
    BackendError
        If ``ARWKV_BACKEND`` forces a backend that can't run or has no sweep.
    """
    check(r=r, w=w, k=k, v=v, a=a, b=b)
    batch, _, heads, channels = r.shape
    shape = (batch, heads, channels, channels)
    kind = torch.float64 if r.dtype == torch.float64 else torch.float32
    if state is None:
        state = torch.zeros(shape, dtype=kind, device=r.device)
    if state.shape != shape:
        raise ValueError(f"state: expected shape {shape}, found {tuple(state.shape)}")
    if state.dtype != kind:
        raise TypeError(f"state: expected dtype {kind}, found {state.dtype}")
    if state.device != r.device:
        raise ValueError(f"state: expected on device {r.device}, as r is, found on {state.device}")
    result: tuple[Tensor, Tensor] = _wkv7_sweep(r, w, k, v, a, b, state, reverse)
    return result


def _sweep_of(v: Tensor) -> registry.Sweep:
    sweep = registry.select(v.device, v.dtype, sweep=True).sweep
    assert sweep is not None, "a backend without one is not selected"
    return sweep


def _sweep(
    r: Tensor, w: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, state: Tensor, reverse: bool
) -> tuple[Tensor, Tensor]:
    return _sweep_of(v)(r, w, k, v, a, b, state, reverse)


def _empty(
    r: Tensor, w: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, state: Tensor, reverse: bool
) -> tuple[Tensor, Tensor]:
    return v.new_empty(v.shape), state.new_empty(state.shape)


_wkv7_sweep = register_operator("wkv7_sweep", _sweep, _empty)
