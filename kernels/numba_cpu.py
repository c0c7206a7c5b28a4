"""The ``numba`` backend: tensors in and out of the compiled loops."""

import torch
from torch import Tensor

from . import numba_backward, numba_forward
from .reference import Gradients, decay
from .threads import share_out


def _rows(x: Tensor) -> Tensor:
    return x.float().contiguous()


def forward(r: Tensor, w: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, gate: Tensor) -> Tensor:
    """y ``(B, T, H, N)`` in the dtype of the inputs; see `arwkv_kernels.bi_wkv7`."""
    y = torch.empty(r.shape, dtype=torch.float32)
    arrays = [x.numpy() for x in (_rows(r), decay(_rows(w)), *map(_rows, (k, v, a, b, gate)), y)]
    tasks = r.shape[0] * r.shape[2] * numba_forward.BLOCKS
    share_out(lambda first, last: numba_forward.forward_tasks(*arrays, first, last), tasks, torch.get_num_threads())
    return y.to(r.dtype)


def backward(
    dy: Tensor, r: Tensor, w: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, gate: Tensor
) -> Gradients:
    """The seven gradients in the dtype of the inputs."""
    threads = torch.get_num_threads()
    parts = 1 if r.shape[0] * r.shape[2] >= threads else 2 * numba_forward.BLOCKS
    w = _rows(w)
    inputs = [_rows(dy), _rows(r), decay(w), *map(_rows, (k, v, a, b, gate))]
    gradients = [torch.zeros(parts, *r.shape) for _ in range(6)] + [torch.zeros(parts, *gate.shape)]
    arrays = [x.numpy() for x in inputs + gradients]
    tasks = r.shape[0] * r.shape[2] * parts
    share_out(lambda first, last: numba_backward.backward_tasks(*arrays, first, last), tasks, threads)
    dr, dd, dk, dv, da, db, dgate = (g.sum(0) if parts > 1 else g[0] for g in gradients)
    dw = -dd * torch.exp(w - torch.exp(w))  # d exp(-exp(w)) / dw, without 0 * inf where the decay is 0
    dr, dw, dk, dv, da, db, dgate = (g.to(r.dtype) for g in (dr, dw, dk, dv, da, db, dgate))
    return dr, dw, dk, dv, da, db, dgate
