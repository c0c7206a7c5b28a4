"""The operator ``arwkv::bi_wkv7``: checks, dispatch to a backend, autograd."""

from typing import Any

import torch
from torch import Tensor

from . import reference, registry
from .operator import register_operator
from .reference import Gradients

HEAD_SIZE = 64  # N: the width that the model fixes and that the kernels are written for
DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)


def bi_wkv7(r: Tensor, w: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, gate: Tensor) -> Tensor:
    """Bidirectional RWKV-7 recurrence, both directions fused by a gate.

    Per head, with S = 0 before the first token of each direction and d = exp(-exp(w))::

        S_t = S_{t-1} diag(d_t) + (S_{t-1} a_t) b_t^T + v_t k_t^T;   y_t = S_t r_t
        y = gate * y_forward + (1 - gate) * y_backward

    Parameters
    ----------
    r, w, k, v, a, b : Tensor, ``(B, T, H, 64)``
        w is the log-log decay. One device, T >= 1, any strides; float32, bfloat16 and float16 in any mixture, as
        autocast gives them, or all float64.
    gate : Tensor, ``(B, T, H)``
        Share of the forward direction.

    Returns
    -------
    Tensor, ``(B, T, H, 64)``
        In the dtype of v; state and arithmetic are float32 (float64 for float64). Differentiable in all seven.

    Raises
    ------
    TypeError
        If a dtype is none of these, or float64 stands beside another.
    ValueError
        If a shape or a device does not fit; the message names the tensor.
    BackendError
        If ``ARWKV_BACKEND`` forces a backend that can't run.
    """
    check(r=r, w=w, k=k, v=v, a=a, b=b, gate=gate)
    result: Tensor = _bi_wkv7(r, w, k, v, a, b, gate)
    return result


def check(**tensors: Tensor) -> None:
    """Refuse tensors that don't fit r, with an error that names them; the gate has no channels."""
    r = tensors["r"]
    if r.ndim != 4 or r.shape[-1] != HEAD_SIZE:
        raise ValueError(f"r: expected shape (B, T, H, {HEAD_SIZE}), found {tuple(r.shape)}")
    if 0 in r.shape:
        raise ValueError(f"r: expected at least one sequence, token and head, found shape {tuple(r.shape)}")
    for name, x in tensors.items():
        expected = r.shape[:3] if name == "gate" else r.shape
        if x.shape != expected:
            raise ValueError(f"{name}: expected shape {tuple(expected)}, as r has, found {tuple(x.shape)}")
        if x.dtype not in DTYPES:
            raise TypeError(f"{name}: expected dtype float32, bfloat16, float16 or float64, found {x.dtype}")
        if (x.dtype == torch.float64) != (r.dtype == torch.float64):
            raise TypeError(f"{name}: float64 can't be mixed: expected {r.dtype}, as r has, found {x.dtype}")
        if x.device != r.device:
            raise ValueError(f"{name}: expected on device {r.device}, as r is, found on {x.device}")


def _forward(r: Tensor, w: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, gate: Tensor) -> Tensor:
    return registry.select(v.device, v.dtype).forward(r, w, k, v, a, b, gate)


def _empty_y(r: Tensor, w: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, gate: Tensor) -> Tensor:
    return v.new_empty(v.shape)


def _backward(
    dy: Tensor, r: Tensor, w: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, gate: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    return registry.select(v.device, v.dtype).backward(dy, r, w, k, v, a, b, gate)


def _empty_gradients(dy: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
    return tuple(x.new_empty(x.shape) for x in inputs)


def _remember(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    ctx.save_for_backward(
        *inputs
    )  # the states are computed again: keeping them would cost 64 times as much memory


def _differentiate(ctx: Any, dy: Tensor) -> tuple[Tensor, ...]:
    gradients: tuple[Tensor, ...] = _bi_wkv7_backward(dy, *ctx.saved_tensors)
    return gradients


_bi_wkv7_backward = register_operator("bi_wkv7_backward", _backward, _empty_gradients)
_bi_wkv7 = register_operator("bi_wkv7", _forward, _empty_y, _differentiate, _remember)


def _in_float32(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()


def _reference_forward(
    r: Tensor, w: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, gate: Tensor
) -> Tensor:
    return reference.bi_wkv7(*(_in_float32(x) for x in (r, w, k, v, a, b, gate))).to(v.dtype)


def _reference_backward(dy: Tensor, *inputs: Tensor) -> Gradients:
    gradients = reference.bi_wkv7_backward(_in_float32(dy), *(_in_float32(x) for x in inputs))
    dr, dw, dk, dv, da, db, dgate = (g.to(x.dtype) for g, x in zip(gradients, inputs, strict=True))
    return dr, dw, dk, dv, da, db, dgate


def _reference_sweep(
    r: Tensor, w: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, state: Tensor, reverse: bool
) -> tuple[Tensor, Tensor]:
    r, w, k, exact_v, a, b = (_in_float32(x) for x in (r, w, k, v, a, b))
    y, after = reference.wkv7_sweep(r, w, k, exact_v, a, b, state, reverse)
    return y.to(v.dtype), after


registry.register(
    registry.Backend(
        "reference", lambda device, dtype: None, _reference_forward, _reference_backward, _reference_sweep
    )
)


def _numba_unavailable(device: torch.device, dtype: torch.dtype) -> str | None:
    if device.type != "cpu":
        return f"runs on cpu only, not on {device.type}"
    if dtype == torch.float64:
        return "computes in float32, not in float64"
    try:
        from . import numba_cpu

        numba_cpu.prepare()
    except ImportError as error:
        return f"numba can't be imported ({error})"
    except Exception as error:  # whatever a compiler may raise: the next backend is slower, but right
        return f"its kernel can't be compiled ({type(error).__name__}: {str(error).strip().splitlines()[-1]})"
    return None


def _numba_forward(*inputs: Tensor) -> Tensor:
    from . import numba_cpu

    return numba_cpu.forward(*inputs)


def _numba_backward(*inputs: Tensor) -> Gradients:
    from . import numba_cpu

    return numba_cpu.backward(*inputs)


def _numba_sweep(*inputs: Any) -> tuple[Tensor, Tensor]:
    from . import numba_cpu

    return numba_cpu.sweep(*inputs)


registry.register(
    registry.Backend("numba", _numba_unavailable, _numba_forward, _numba_backward, _numba_sweep)
)


def _cuda_unavailable(device: torch.device, dtype: torch.dtype) -> str | None:
    if device.type != "cuda":
        return f"runs on NVIDIA's GPUs only (--device cuda), not on {device.type}"
    from . import cuda_backend

    return cuda_backend.unavailable(device, dtype)


def _cuda_forward(*inputs: Tensor) -> Tensor:
    from . import cuda_backend

    return cuda_backend.forward(*inputs)


def _cuda_backward(*inputs: Tensor) -> Gradients:
    from . import cuda_backend

    return cuda_backend.backward(*inputs)


def _cuda_sweep(*inputs: Any) -> tuple[Tensor, Tensor]:
    from . import cuda_backend

    return cuda_backend.sweep(*inputs)


registry.register(registry.Backend("cuda", _cuda_unavailable, _cuda_forward, _cuda_backward, _cuda_sweep))


def _torch_unavailable(device: torch.device, dtype: torch.dtype) -> str | None:
    if device.type == "mps" and dtype == torch.float64:
        return "mps has no float64"
    return None


def _torch_forward(*inputs: Tensor) -> Tensor:
    from . import torch_chunked

    return torch_chunked.forward(*inputs)


def _torch_backward(*inputs: Tensor) -> Gradients:
    from . import torch_chunked

    return torch_chunked.backward(*inputs)


def _torch_sweep(*inputs: Any) -> tuple[Tensor, Tensor]:
    from . import torch_chunked

    return torch_chunked.sweep(*inputs)


registry.register(
    registry.Backend("torch", _torch_unavailable, _torch_forward, _torch_backward, _torch_sweep)
)
