"""Optimisers of a recipe: AdamW, and Muon for the square matrices."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from .precision import takes_bfloat16
from .recipe import OptimiserTable

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of the quintic that drives all singular values towards 1 (Jordan et al., Muon, 2024)."""
NEWTON_SCHULZ_ROUNDS = 5


class Muon(torch.optim.Optimizer):
    """Momentum whose update is orthogonalised: every direction of a matrix learns at the same pace.

    ``torch.optim.Muon`` does the same, always in bfloat16, for which CPUs without bfloat16 arithmetic take a
    hundred times longer, and one matrix after the other; here all matrices of one shape are worked on at once.

    Parameters
    ----------
    params : iterable of Tensor
        Matrices.
    lr : float
        An update has the spectral norm ``lr * sqrt(max(1, rows / columns))``.
    momentum : float
    weight_decay : float
        Decoupled, times ``lr``.
    dtype : torch.dtype
        Of the iteration. Bfloat16 changes an update by about a hundredth, as it does the gradients.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self.dtype = dtype

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]  # no closures
        """Update every matrix that has a gradient."""
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[Tensor]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_shape.setdefault(parameter.shape, []).append(parameter)
            for shape, parameters in by_shape.items():
                gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
                momenta = [self._momentum(parameter) for parameter in parameters]
                torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
                updates = torch._foreach_lerp(gradients, momenta, group["momentum"])  # Nesterov
                orthogonal = orthogonalise(torch.stack(updates), self.dtype)
                torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
                scale = group["lr"] * max(1.0, shape[0] / shape[1]) ** 0.5
                torch._foreach_add_(parameters, list(orthogonal), alpha=-scale)

    def _momentum(self, parameter: Tensor) -> Tensor:
        state = self.state[parameter]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(parameter)
        momentum: Tensor = state["momentum"]
        return momentum


def orthogonalise(matrices: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Bring all singular values close to 1.

    Parameters
    ----------
    matrices : Tensor
        ``(batch, rows, columns)``
    dtype : torch.dtype
        Of the iteration.

    Returns
    -------
    Tensor
        Of the same shape and dtype; singular values lie in about 0.7 to 1.2.
    """
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = (x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)).to(dtype)
    a, b, c = NEWTON_SCHULZ
    for _ in range(NEWTON_SCHULZ_ROUNDS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).to(matrices.dtype)


def make_optimisers(modules: nn.Module, table: OptimiserTable) -> list[torch.optim.Optimizer]:
    """Make the optimisers of a recipe.

    Weights of linear layers and the patch embedding decay; vectors, shifts and low ranks don't. With
    ``muon``, the linear layers inside the blocks go to Muon and the rest to AdamW.
    """
    matrices, decayed, others = [], [], []
    for name, parameter in modules.named_parameters():
        square = ".blocks." in f".{name}" and name.endswith(
            ("receptance.weight", "key.weight", "value.weight", "output.weight")
        )
        if square and table.name == "muon":
            matrices.append(parameter)
        elif square or name.endswith(("head.weight", "emb.weight")):
            decayed.append(parameter)
        else:
            others.append(parameter)
    groups = [
        {"params": decayed, "weight_decay": table.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    beta1, beta2 = table.betas
    # one pass for all of hundreds of small tensors, where torch has it
    fused = others[0].device.type in ("cpu", "cuda")
    optimisers: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(groups, lr=table.rate, betas=(beta1, beta2), fused=fused, foreach=not fused)
    ]
    if matrices:
        dtype = torch.bfloat16 if takes_bfloat16(matrices[0].device, table.precision) else torch.float32
        optimisers.append(Muon(matrices, table.matrix_rate, weight_decay=table.weight_decay, dtype=dtype))
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["peak"] = group["lr"]
    return optimisers


def set_rates(optimisers: list[torch.optim.Optimizer], step: int, table: OptimiserTable) -> float:
    """Set the rate of optimiser step ``step`` (from 0): linear warm-up, then half a cosine.

    Returns
    -------
    float
        The factor on all peak rates.
    """
    if step < table.warm_up:
        factor = (step + 1) / table.warm_up
    else:
        done = (step - table.warm_up) / max(1, table.steps - table.warm_up)
        floor = table.final / table.rate
        factor = floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done))
    group: dict[str, Any]
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * factor
    return factor
