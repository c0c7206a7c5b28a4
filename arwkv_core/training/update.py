"""What follows the gradients of a step: clipping, optimisers, running mean."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .compiled import compiles
from .student import RunningMean

CLIP_EPSILON = 1e-6
"""What `torch.nn.utils.clip_grad_norm_` adds to the norm that it divides by."""


@cache
def can_update_at_once() -> bool:
    """Whether the pass runs on this machine; if not, why is logged once."""

    def prepare() -> None:
        from arwkv_kernels import update

        update.prepare()

    return compiles(prepare, "the fused update")


class Update:
    """Clips gradients, takes a step of every optimiser, forgets the gradients, and moves the running mean on.

    On a CPU all tensors of AdamW and of the mean are gone over once; elsewhere torch's own operations do it,
    hundreds of small ones. Optimisers keep their state as torch has it, so that either may go on from the other's.

    Parameters
    ----------
    module : Module
        All of whose gradients are clipped by their norm together.
    optimisers : list of Optimizer
    mean : RunningMean
        Of ``network``.
    network : Module
        ``module`` or a part of it.
    clip_norm : float
        Largest norm.
    """

    def __init__(
        self,
        module: nn.Module,
        optimisers: Sequence[torch.optim.Optimizer],
        mean: RunningMean,
        network: nn.Module,
        clip_norm: float,
    ) -> None:
        self.optimisers, self.mean, self.network = optimisers, mean, network
        self.clip_norm = clip_norm
        self._others = [each for each in optimisers if not isinstance(each, torch.optim.AdamW)]
        self._adamw = [each for each in optimisers if isinstance(each, torch.optim.AdamW)]
        self._parameters = list(module.parameters())
        self._counts = np.array([x.numel() for x in self._parameters], np.int64)
        # by identity: as keys, tensors take longer than all else that is done for each
        self._places = {id(parameter): i for i, parameter in enumerate(self._parameters)}
        self._means = [(name, self._places[id(parameter)]) for name, parameter in network.named_parameters()]
        self._seen: dict[str, Tensor] | None = None  # the means for which it was last asked whether all fits
        self._fitting = False

    def __call__(self, step: int) -> float:
        """Update all weights after the backward of optimiser step ``step`` (from 0).

        Returns
        -------
        float
            The norm of the gradients before they were clipped.
        """
        return self.at_once(step) if self._fits() else self.plain(step)

    def _fits(self) -> bool:
        if self._seen is not self.mean.weights:
            self._seen = self.mean.weights
            tensors = [*self._parameters, *self.mean.weights.values()]
            plain = all(
                x.device.type == "cpu" and x.dtype == torch.float32 and x.is_contiguous() for x in tensors
            )
            covered = len(self._means) == len(self.mean.weights)  # it has no buffers
            self._fitting = plain and covered and len(self._adamw) == 1 and can_update_at_once()
        return self._fitting

    def plain(self, step: int) -> float:
        """The same with torch's operations, on any device."""
        norm = torch.nn.utils.clip_grad_norm_(self._parameters, self.clip_norm)
        for optimiser in self.optimisers:
            optimiser.step()
        self._forget()
        self.mean.update(self.network, step)
        return float(norm)

    @torch.no_grad()
    def at_once(self, step: int) -> float:
        """The same in one pass over what AdamW and the mean need; tensors in float32 on a CPU."""
        from arwkv_kernels import update

        gradients = [None if x.grad is None else x.grad.contiguous() for x in self._parameters]
        addresses = _addresses(gradients)
        there = addresses != 0
        norm = update.gradient_norm(addresses[there], self._counts[there])
        bound = self.clip_norm / (norm + CLIP_EPSILON)
        scale = 1.0 if bound >= 1 else bound  # of a norm that is not a number, neither
        for optimiser in self._others:
            own = [x.grad for group in optimiser.param_groups for x in group["params"] if x.grad is not None]
            if own:
                torch._foreach_mul_(own, scale)
                optimiser.step()
        (adamw,) = self._adamw
        betas = adamw.defaults["betas"]
        means: list[Tensor | None] = [None] * len(self._parameters)
        for name, place in self._means:
            means[place] = self.mean.weights[name]
        table = update.Table(self._counts, _addresses(self._parameters), _addresses(means))
        for group in adamw.param_groups:
            own = [x for x in group["params"] if x.grad is not None]
            if not own:
                continue
            states = [_state(adamw, x) for x in own]
            places = np.array([self._places[id(x)] for x in own])
            table.add_adamw(
                places,
                addresses[places],
                _addresses([state["exp_avg"] for state in states]),
                _addresses([state["exp_avg_sq"] for state in states]),
                _count_step(states).double().numpy(),
                group["lr"],
                group["weight_decay"],
                betas,
            )
        update.update(table, scale, betas, adamw.defaults["eps"], self.mean.share(step))
        self._forget()
        return norm

    def _forget(self) -> None:
        for parameter in self._parameters:
            parameter.grad = None


def _addresses(tensors: Sequence[Tensor | None]) -> NDArray[np.int64]:
    return np.array([0 if x is None else x.data_ptr() for x in tensors], np.int64)


def _state(optimiser: torch.optim.Optimizer, parameter: Tensor) -> dict[str, Tensor]:
    """The optimiser's memory of a parameter, which it begins where there is none as torch's own step does."""
    state: dict[str, Tensor] = optimiser.state[parameter]
    if not state:
        state["step"] = torch.zeros(())
        state["exp_avg"] = torch.zeros_like(parameter)
        state["exp_avg_sq"] = torch.zeros_like(parameter)
    return state


def _count_step(states: Sequence[dict[str, Tensor]]) -> Tensor:
    """Add 1 to the step of each, and give all: views of one tensor, since hundreds of small ones take long.

    Where they aren't that (at the beginning, or after a checkpoint was loaded) they become it.
    """
    together = states[0]["step"]._base
    places = _addresses([state["step"] for state in states])
    if (
        together is None
        or together.shape != (len(states),)
        or np.any(places != together.data_ptr() + together.element_size() * np.arange(len(states)))
    ):
        together = torch.stack([state["step"] for state in states])
        for state, step in zip(states, together, strict=True):
            state["step"] = step
    return together.add_(1)
