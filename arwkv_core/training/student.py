"""The network in training, its losses, and its running mean."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from arwkv_core.model import ARWKV

from .batches import Batch
from .fused import training_tokens
from .recipe import Recipe
from .start import shape_of

PRIOR_NORM = 8.0
"""Length of the last norm's bias at the start: the longer, the less the level sways with the input."""


class Student(nn.Module):
    """A network with, where the recipe asks for it, a second head that imitates the teacher's embedding.

    Parameters
    ----------
    recipe : Recipe
    classes : int
    embedding_width : int
        0 for no second head.
    class_weights : ndarray, shape (classes,), optional
        What a positive target of each class counts; one by default.
    """

    def __init__(
        self,
        recipe: Recipe,
        classes: int,
        embedding_width: int = 0,
        class_weights: NDArray[np.float64] | None = None,
    ) -> None:
        super().__init__()
        shape = recipe.network
        self.recipe = recipe
        self.network = ARWKV(shape_of(recipe, classes), drop_path=shape.drop_path)
        self.imitate = nn.Linear(shape.width, embedding_width) if embedding_width else None
        self.class_weights: Tensor | None
        weights = None if class_weights is None else torch.from_numpy(class_weights).float()
        self.register_buffer("class_weights", weights, persistent=False)  # the corpus tells them again

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The same as `losses`: several processes average the gradients of what a module's call gives."""
        return self.losses(batch)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Loss terms by name, weighted as the recipe says; their sum is to be minimised.

        The sigmoid losses are summed over the classes, so that a step that is wrong about one class of 521
        costs as much as it would among ten.
        """
        table = self.recipe.loss
        device = self.network.pos_embed.device
        network = self.network
        tokens = training_tokens(network, _tensor(batch.fbank, device)[:, None])  # (B, steps, 8, C)
        steps = tokens.mean(2)
        seen = network.ln_out(steps)  # (B, steps, C)
        out: dict[str, Tensor] = {}
        if table.step:
            out["step"] = table.step * self._scored(network.head(seen), _tensor(batch.steps, device))
        if table.clip:
            logits = network.head(network.ln_out(steps.mean(1)))
            out["clip"] = table.clip * self._scored(logits, _tensor(batch.clips, device))
        if self.imitate is not None and batch.embeddings is not None and batch.pure.any():
            pure = _tensor(batch.pure, device)
            distance = F.mse_loss(
                self.imitate(seen[pure]).float(), _tensor(batch.embeddings, device)[pure], reduction="mean"
            )
            # a batch of which little is unmixed must not count as much as a whole one
            out["embedding"] = table.embedding * distance * pure.float().mean()
        return out

    def _scored(self, logits: Tensor, targets: Tensor) -> Tensor:
        logits, smoothing = logits.float(), self.recipe.loss.label_smoothing
        if self.recipe.loss.kind == "softmax":
            targets = targets / targets.sum(-1, keepdim=True).clamp(min=1e-6)
            targets = targets * (1 - smoothing) + smoothing / targets.shape[-1]
            if self.class_weights is not None:
                targets = targets * self.class_weights
            return -(targets * logits.log_softmax(-1)).sum(-1).mean()
        targets = targets * (1 - smoothing) + smoothing / 2
        loss = F.binary_cross_entropy_with_logits(
            logits, targets, reduction="none", pos_weight=self.class_weights
        )
        return loss.sum(-1).mean()


@torch.no_grad()
def set_prior_(network: ARWKV, frequency: np.ndarray) -> None:
    """Let an untrained network say of every class what a clip unseen would have it say.

    A head without a bias can only take its level from the last norm's: that is set to one vector, and every
    row of the head gets the share of it that makes the logit of its class's frequency (as Lin et al., 2017,
    do with a bias). Without this, hundreds of steps are spent on learning that most classes are absent.

    Parameters
    ----------
    network : ARWKV
    frequency : ndarray, shape (classes,)
        Mean targets.
    """
    logits = torch.logit(torch.from_numpy(frequency).float().clamp(1e-5, 0.9))
    direction = torch.ones(network.arch.width) / network.arch.width**0.5
    network.ln_out.bias.copy_(PRIOR_NORM * direction)
    weight = network.head.weight
    weight -= (weight @ direction.to(weight.device))[:, None] * direction.to(weight.device)
    weight += (logits[:, None] / PRIOR_NORM * direction).to(weight.device)


class RunningMean:
    """Exponential mean of a module's parameters; early on it forgets faster, so it starts at the weights.

    Parameters
    ----------
    module : Module
    decay : float
        0 to follow the weights.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights = {name: value.detach().clone() for name, value in module.state_dict().items()}

    def share(self, step: int) -> float:
        """What it takes of the weights after optimiser step ``step`` (from 0)."""
        return 1 - min(self.decay, (1 + step) / (10 + step)) if self.decay else 1.0

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Take in the weights after optimiser step ``step`` (from 0)."""
        new = module.state_dict()
        torch._foreach_lerp_(
            list(self.weights.values()), [new[name] for name in self.weights], self.share(step)
        )


def _tensor(array: np.ndarray, device: torch.device) -> Tensor:
    return torch.from_numpy(array).to(device)
