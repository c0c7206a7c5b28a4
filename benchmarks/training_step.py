"""Time of a training step: forward, losses, backward, clipping, optimisers and running mean.

    python benchmarks/training_step.py [--recipe NAME] [--batch N] [--seconds S] [--precision auto|float32|bfloat16]
        [--threads N] [--repeats N] [--plain]

The network and the losses are those of a recipe, the examples are noise. First the gradients of all parameters are held
against those of the plain network in float32; no time is printed for a path whose gradients are off. ``--plain`` times
the plain network besides.
"""

import argparse
import dataclasses
import itertools
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest import mock

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

from arwkv_core.allocator import keep_freed_memory
from arwkv_core.constants import FRAMES_PER_STEP, N_MELS, STEP_SECONDS
from arwkv_core.model import ARWKV
from arwkv_core.training import student as student_module
from arwkv_core.training.batches import Batch
from arwkv_core.training.optimiser import make_optimisers
from arwkv_core.training.precision import autocast, takes_bfloat16
from arwkv_core.training.recipe import Recipe
from arwkv_core.training.run import find_recipe
from arwkv_core.training.student import RunningMean, Student
from arwkv_core.training.update import Update

CPU = torch.device("cpu")
CLASSES, EMBEDDING = 521, 1024
TOLERANCE = {"float32": 1e-3, "bfloat16": 5e-2}  # of a gradient's norm
CHECKED_EXAMPLES = 2
SHARES = {  # of a step's time, by what the profiler calls them
    "matrix products": ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm"),
    "plain recurrence": ("arwkv::bi_wkv7", "arwkv::bi_wkv7_backward"),
    "fused blocks besides": ("_Blocks",),
    "the same, backward": ("_BlocksBackward",),
}


def make_batch(size: int, steps: int) -> Batch:
    """Noise of the right shapes."""
    rng = np.random.default_rng(0)
    return Batch(
        rng.standard_normal((size, steps * FRAMES_PER_STEP, N_MELS), np.float32),
        rng.random((size, steps, CLASSES), np.float32) ** 8,
        rng.random((size, CLASSES), np.float32) ** 4,
        rng.standard_normal((size, steps, EMBEDDING), np.float32),
        rng.random((size, steps)) < 0.7,
    )


def make_student(recipe: Recipe) -> Student:
    """A network in which every weight matters, as in one that has been trained for a while."""
    torch.manual_seed(0)
    student = Student(recipe, CLASSES, EMBEDDING if recipe.loss.embedding else 0)
    with torch.no_grad():
        for weight in student.network.parameters():
            weight += 0.02 * torch.randn_like(weight)
    return student


@contextmanager
def plain_network() -> Iterator[None]:
    """Within it, losses come from the plain network."""
    with mock.patch.object(student_module, "training_tokens", ARWKV.tokens):
        yield


def gradients(student: Student, batch: Batch, precision: str) -> dict[str, torch.Tensor]:
    """All gradients of one batch by name."""
    student.zero_grad(set_to_none=True)
    with autocast(CPU, precision):
        losses = student.losses(batch)
    torch.stack(list(losses.values())).sum().backward()
    return {name: x.grad.clone() for name, x in student.named_parameters() if x.grad is not None}


def check(recipe: Recipe, precision: str, steps: int) -> float:
    """The largest error of a gradient relative to its norm; stops the program, naming it, if one is off."""
    student, batch = make_student(recipe).eval(), make_batch(CHECKED_EXAMPLES, steps)
    with plain_network():
        exact = gradients(student, batch, "float32")
    found = gradients(student, batch, precision)
    if found.keys() != exact.keys():
        raise SystemExit(f"other gradients than those of the plain network: {found.keys() ^ exact.keys()}")
    errors = {name: ((found[name] - x).norm() / x.norm()).item() for name, x in exact.items()}
    worst = max(errors, key=lambda name: errors[name])
    if not errors[worst] <= TOLERANCE[precision]:
        raise SystemExit(
            f"the gradient of {worst} is off by {errors[worst]:.2g} of its norm: nothing is timed"
        )
    return errors[worst]


class Steps:
    """Training steps one after the other, and how long their parts took (s)."""

    def __init__(self, recipe: Recipe, batch: Batch, precision: str) -> None:
        self.student, self.batch, self.precision = make_student(recipe).train(), batch, precision
        table = dataclasses.replace(recipe.optimiser, precision=precision)
        optimisers = make_optimisers(self.student, table)
        network = self.student.network
        self.update = Update(
            self.student, optimisers, RunningMean(network, table.ema), network, table.clip_norm
        )

    def __call__(self) -> list[float]:
        marks = [time.perf_counter()]
        with autocast(CPU, self.precision):
            losses = self.student.losses(self.batch)
        marks.append(time.perf_counter())
        torch.stack(list(losses.values())).sum().backward()
        marks.append(time.perf_counter())
        self.update(1000)
        marks.append(time.perf_counter())
        return [after - before for before, after in itertools.pairwise(marks)]


def report(name: str, steps: Steps, repeats: int) -> None:
    """Time and print medians."""
    steps()
    steps()
    parts = [steps() for _ in range(repeats)]
    size = len(steps.batch.fbank)
    total = statistics.median(map(sum, parts))
    forward, backward, update = (statistics.median(part) for part in zip(*parts, strict=True))
    print(
        f"{name:8} step {total * 1e3:7.1f} ms  forward {forward * 1e3:6.1f}  backward {backward * 1e3:6.1f}  "
        f"update {update * 1e3:6.1f}  a clip {total / size * 1e3:6.1f} ms"
    )


def print_shares(step: Callable[[], object]) -> None:
    """Where the time of one step goes, as the profiler sees it."""
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        step()
    times = {event.key: event.self_cpu_time_total for event in profiler.key_averages()}
    total = sum(times.values())
    rest = total
    for what, names in SHARES.items():
        here = sum(times.get(name, 0) for name in names)
        rest -= here
        print(f"  {what:24}{here / total:6.1%}")
    print(f"  {'everything else':24}{rest / total:6.1%}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recipe", default="a-rwkv-t-open", help="bundled recipe or file")
    parser.add_argument("--batch", type=int, default=16, help="clips a step")
    parser.add_argument("--seconds", type=float, default=9.92, help="length of a clip")
    parser.add_argument("--precision", choices=["auto", "float32", "bfloat16"], default="auto")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=7, help="steps that the medians are of")
    parser.add_argument("--plain", action="store_true", help="time the plain network besides")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    recipe = Recipe.read(find_recipe(options.recipe))
    precision = "bfloat16" if takes_bfloat16(CPU, options.precision) else "float32"
    steps = round(options.seconds / STEP_SECONDS)
    shape = recipe.network
    print(
        f"{recipe.name}: {shape.depth} blocks of {shape.width} channels, {options.batch} clips of {options.seconds} s, "
        f"{precision}, {options.threads} threads, torch {torch.__version__}, {platform.machine()}"
    )
    worst = check(recipe, precision, steps)
    print(f"largest error of a gradient against the plain network in float32: {worst:.2g} of its norm")
    batch = make_batch(options.batch, steps)
    fused = Steps(recipe, batch, precision)
    report("fused", fused, options.repeats)
    print_shares(fused)
    if options.plain:
        with plain_network():
            plain = Steps(recipe, batch, precision)
            report("plain", plain, options.repeats)
            print_shares(plain)


if __name__ == "__main__":
    main()
