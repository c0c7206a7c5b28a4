"""The backend ``torch``: Bi-WKV-7 in chunks, in plain torch, for every device that has no kernel of its own.

Sequences go through in stretches of some chunks: one direction from the beginning, the other from the end. What is
needed on the way is of the size of a stretch. On a CPU, where they are long enough, each thread has its own part of the
sequences, and goes its way without the others; on other devices, one part is all of them, with both directions side by
side.
"""

import contextlib
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from . import torch_quotients, torch_way
from .huge_pages import fresh
from .reference import Gradients
from .threads import call_on_team, has_team
from .torch_chunks import CHUNK, constants
from .torch_parts import Part, parts
from .torch_scratch import LINE_FLOATS, memory, scratch_memory
from .torch_script import as_written, compiled
from .torch_stretch import Tokens, places, stretch_length

BOTH = (False, True)
"""The two directions: as time runs, and reversed."""

SCRATCH = 18
"""How many numbers values come about with, for each number of an input in a stretch: 16, and some for alignment."""

SCRATCH_BACK = 64
"""The same for gradients: up to 37, and most of them twice where the last stretch, which comes first, is shorter."""


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


class Sequences:
    """Whole sequences, and how they are gone through.

    Parameters
    ----------
    way : callable
        That of a part: `torch_way.values` or `torch_way.gradients`.
    directions : tuple of bool
        Whether each is reversed.
    r, w, k, v, a, b : Tensor, ``(B, T, H, N)``
        w is the log-log decay.
    gate : Tensor, ``(B, T, H)``, optional
    """

    def __init__(
        self,
        way: Callable[..., None],
        directions: tuple[bool, ...],
        r: Tensor,
        w: Tensor,
        k: Tensor,
        v: Tensor,
        a: Tensor,
        b: Tensor,
        gate: Tensor | None = None,
    ) -> None:
        self.shape, self.device, self.dtype = v.shape, v.device, precision(v)
        flat_gate = None if gate is None else gate.to(self.dtype).contiguous().view(-1)
        self._tokens = Tokens(flat(r), flat(w), flat(k), flat(v), flat(a), flat(b), flat_gate)
        self._span = torch_quotients.longest_span(w)
        self._constants = constants(CHUNK, self.dtype, self.device)
        # Without a team, there is no need: and a forked child must not compile what its parent may have half done.
        script = compiled(way) if v.device.type == "cpu" and has_team() else None
        self._way = script or way
        # In float64, MKL's bits depend on the thread.
        threads = torch.get_num_threads() if script and self.dtype == torch.float32 else 1
        self.parts = parts(v.shape, directions, threads)

    def run(
        self,
        floats: int,
        own: Callable[[Part], tuple[object, ...]],
        before: Callable[[Part], Tensor] | None = None,
        after: Callable[[Part, Tensor], object] | None = None,
    ) -> None:
        """Take all parts their way, each with its ``own`` arguments.

        Parameters
        ----------
        floats : int
            How many each needs in memory for each number of an input in a stretch.
        own : callable
            The last arguments of the way for a part.
        before : callable, optional
            The state before a part, ``(M, N, N)``, if it isn't 0.
        after : callable, optional
            Takes the state after it, which lies in scratch memory.
        """
        channels, states, tasks = self.shape[-1], [], []
        with contextlib.ExitStack() as lent:
            for part in self.parts:
                # At most so many tokens lie in the chunks of a stretch; and there are some states besides.
                longest = min(stretch_length(part, channels, self.device), self.shape[1] + CHUNK)
                numbers = part.breadth * channels * (floats * longest + 8 * channels)
                size = numbers * self.dtype.itemsize // 4
                scratch = lent.enter_context(scratch_memory(size, self.dtype, self.device))
                state = memory(scratch, "state", [part.breadth, channels, channels])
                states.append(state.zero_() if before is None else state.copy_(before(part)))
                stretches = places(self.shape, part, self.device)
                given = torch_way.Given(self._tokens, stretches, self._span, self._constants, scratch)
                tasks.append(partial(self._take, given, state, *own(part)))
            if len(tasks) == 1:
                tasks[0]()
            else:
                call_on_team(tasks, torch.get_num_threads())
            if after is not None:
                for part, state in zip(self.parts, states, strict=True):
                    after(part, state)

    def _take(self, *arguments: object) -> None:
        with torch.inference_mode(), as_written():
            self._way(*arguments)

    @contextlib.contextmanager
    def sides(self, *shapes: torch.Size) -> Iterator[list[Tensor]]:
        """Memory for what each of two directions gives of tensors of such shapes, ``(2, ..)``."""
        floats = sum(2 * shape.numel() + LINE_FLOATS for shape in shapes) * self.dtype.itemsize // 4
        with scratch_memory(floats, self.dtype, self.device) as scratch:
            yield [memory(scratch, str(i), [2, *shape]) for i, shape in enumerate(shapes)]


def flat(x: Tensor) -> Tensor:
    """All tokens of ``(B, T, H, N)``, one a row."""
    return x.contiguous().view(-1, x.shape[-1])


def together(sides: Tensor, dtype: torch.dtype) -> Tensor:
    """The sum of what two directions give, ``(2, ..)``."""
    if sides.device.type == "cpu":
        return torch.add(*sides, out=fresh(sides.shape[1:], dtype))
    return torch.add(*sides).to(dtype)


def forward(r: Tensor, w: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, gate: Tensor) -> Tensor:
    """As `op.bi_wkv7`."""
    with exactly(v):
        whole = Sequences(torch_way.values, BOTH, r, w, k, v, a, b, gate)
        with whole.sides(v.shape) as (y,):
            whole.run(SCRATCH, lambda part: (part.of(y),))
            return together(y, v.dtype)


def backward(
    dy: Tensor, r: Tensor, w: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, gate: Tensor
) -> Gradients:
    """Gradients of `forward` by its seven inputs, each in its input's dtype, for the gradient dy of y."""
    with exactly(v):
        inputs = r, w, k, v, a, b
        whole = Sequences(torch_way.gradients, BOTH, *inputs, gate)
        dy, dtypes = flat(dy), [x.dtype for x in (*inputs, gate)]
        with whole.sides(*(x.shape for x in (*inputs, gate[..., None]))) as found:
            whole.run(SCRATCH_BACK, lambda part: (dy, [part.of(x) for x in found]))
            dr, dw, dk, dv, da, db, dgate = map(together, found, dtypes)
            return dr, dw, dk, dv, da, db, dgate[..., 0]


def sweep(
    r: Tensor, w: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, state: Tensor, reverse: bool
) -> tuple[Tensor, Tensor]:
    """As `sweep_op.wkv7_sweep`."""
    with exactly(v):
        whole = Sequences(torch_way.values, (reverse,), r, w, k, v, a, b)
        y, reached = v.new_empty(1, *v.shape, dtype=whole.dtype), torch.empty_like(state)

        def of(part: Part, states: Tensor) -> Tensor:
            return states[slice(*part.batch), slice(*part.heads)].transpose(2, 3)

        def after(part: Part, found: Tensor) -> None:
            there = of(part, reached)
            there.copy_(found.view(there.shape))

        whole.run(SCRATCH, lambda part: (part.of(y),), lambda part: of(part, state).flatten(0, 1), after)
        return y[0].to(v.dtype), reached
