"""A training step of the T shape: forward, backward, clipped gradients, optimiser, running mean."""

from __future__ import annotations

from collections.abc import Iterator
from unittest import mock

import numpy as np
import torch
from torch import Tensor

from arwkv_core.allocator import keep_freed_memory
from arwkv_core.constants import FBANK_MEAN, FBANK_STD, FRAMES_PER_STEP, MODEL_STEPS
from arwkv_core.labels import AUDIOSET_CLASSES
from arwkv_core.model import ARWKV
from arwkv_core.precision import bfloat16_is_fast
from arwkv_core.training import student
from arwkv_core.training.batches import Batch
from arwkv_core.training.optimiser import make_optimisers
from arwkv_core.training.precision import autocast
from arwkv_core.training.recipe import Recipe
from arwkv_core.training.student import RunningMean, Student
from arwkv_core.training.update import Update

from .correctness import require_close
from .forced_backend import PLAIN, forced_backend
from .outcome import NotRun, Outcome, Row, row
from .recordings import log_mels
from .settings import Settings
from .shapes import random_network
from .timing import repeated, seconds_of

BATCHES = (1, 16)
"""Clips a step: one, as the target has it, and as many as our recipes take. A round is of so many."""

CHECKED_STEPS = 7
"""Of 160 ms: 56 tokens, more than a whole number of the kernel's chunks."""

TOLERANCES = {"float32": 1e-3, "bfloat16": 0.1}
"""Largest error of a gradient, relative to its largest value, against the plain network with the plain kernel."""


def measure_training(settings: Settings) -> Iterator[Outcome]:
    """Measure steps in bfloat16 where the processor has it, and in float32.

    Raises
    ------
    WrongOutput
        If gradients are off.
    """
    keep_freed_memory()  # as a training does
    for precision in ("bfloat16", "float32"):
        if precision == "bfloat16" and not bfloat16_is_fast(torch.device("cpu")):
            reason = "the processor has no instructions for bfloat16"
            yield NotRun("training.step", "a training step, bfloat16", reason)
            continue
        _check(precision)
        for clips in BATCHES:
            yield _measured(precision, clips, settings)


def _measured(precision: str, clips: int, settings: Settings) -> Row:
    """Steps of one kind in a row, as a training takes them: what others leave in cache and memory is not theirs."""
    step, steps = TrainingStep(clips, precision), BATCHES[-1] // clips
    target = precision == "bfloat16" and clips == 1
    return row(
        "training.step" if target else f"training.step_{clips}.{precision}",
        f"a training step of the T shape, {clips} clip{'s' * (clips > 1)} of 10 s, {precision}",
        "ms a clip",
        [1e3 * t / steps / clips for t in seconds_of(repeated(step, steps), settings.repeats)],
        note=f"{step.classes} classes, AdamW",
    )


class TrainingStep:
    """A step of our recipes' kind on clips that are made up; each call is the next step.

    Parameters
    ----------
    clips : int
        In a batch.
    precision : {"bfloat16", "float32"}
    steps : int
        Length of a clip, 160 ms each.
    """

    classes = AUDIOSET_CLASSES

    def __init__(self, clips: int, precision: str, steps: int = MODEL_STEPS) -> None:
        self.precision = precision
        recipe = Recipe("bench")
        self.student = Student(recipe, self.classes).train()
        self.student.network.load_state_dict(random_network("T").state_dict())
        optimisers = make_optimisers(self.student, recipe.optimiser)
        network = self.student.network
        mean = RunningMean(network, recipe.optimiser.ema)
        self.update = Update(self.student, optimisers, mean, network, recipe.optimiser.clip_norm)
        self.batch = made_up_batch(clips, steps, self.classes)
        self.done = 0

    def gradients(self) -> dict[str, Tensor]:
        """Gradients of all parameters, by name."""
        self._backward()
        found = {
            name: weight.grad.clone()
            for name, weight in self.student.named_parameters()
            if weight.grad is not None
        }
        self.student.zero_grad(set_to_none=True)
        return found

    def _backward(self) -> None:
        with autocast(torch.device("cpu"), self.precision):
            losses = self.student.losses(self.batch)
        torch.autograd.backward(torch.stack(list(losses.values())).sum())

    def __call__(self) -> None:
        """Take a step."""
        self._backward()
        self.update(self.done)
        self.done += 1


def made_up_batch(clips: int, steps: int, classes: int) -> Batch:
    """Clips of so many steps with a few classes each."""
    random = np.random.default_rng(0)
    fbank = (log_mels(clips, steps * FRAMES_PER_STEP) - FBANK_MEAN) / FBANK_STD
    targets = (random.random((clips, steps, classes)) < 0.005).astype(np.float32)
    return Batch(fbank.astype(np.float32), targets, targets.max(1), None, np.ones((clips, steps), bool))


def _check(precision: str) -> None:
    found = TrainingStep(1, precision, CHECKED_STEPS).gradients()
    with forced_backend(PLAIN), mock.patch.object(student, "training_tokens", ARWKV.tokens):
        wanted = TrainingStep(1, "float32", CHECKED_STEPS).gradients()
    for name, gradient in wanted.items():
        require_close(
            f"training step, {precision}: gradient of {name}", found[name], gradient, TOLERANCES[precision]
        )
