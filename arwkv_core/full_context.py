"""The network over an input of any length, in three arrays of (tokens × width) and what one chunk needs.

The same mathematics as `ARWKV.tokens`, layer by layer instead of window by window. In each layer the backward
recurrence sweeps over the chunks from the last to the first and only its output is kept; then the forward recurrence
sweeps from the first to the last and finishes each chunk. What both need, projections of the residual stream, is
computed twice and never held. The depthwise convolution looks one step to either side, so chunks see the steps next to
them: the channel mix runs one chunk behind the time mix, and a chunk's edge is kept before it is overwritten.
"""

from collections.abc import Callable, Iterator
from typing import cast

import torch
from torch import Tensor, nn

from arwkv_kernels import wkv7_sweep

from .constants import BANDS, FRAMES_PER_STEP
from .model import ARWKV, Block

CHUNK_STEPS = 124
"""Steps of 160 ms in a chunk: fewer or more are slower on a CPU with 1 MB of cache a core."""

BACKWARD_SHARE = 0.3
"""Share of a layer's time that its backward sweep takes; for progress only."""

Report = Callable[[float], None]
"""Called with the share of the work that is done, 0 to 1."""


class FullContext:
    """A model at work on one batch of inputs of any length, which may come in pieces.

    Push all log-mels, then iterate once over the results.

    Parameters
    ----------
    model : ARWKV
        In evaluation mode, with ``position="frequency"``.
    chunk_steps : int
        Steps in a chunk, at least 1: nothing but memory and speed depends on it.

    Raises
    ------
    ValueError
        If the model has absolute positions, which fix the length.

    Notes
    -----
    Memory: the residual stream, block 0's value and the backward sweep's output, each ``B × T × width`` float32.

    Examples
    --------
    >>> run = FullContext(model)
    >>> for piece in pieces:
    ...     run.push(piece)
    >>> embeddings = torch.cat(list(run.step_embeddings()), dim=1)
    """

    def __init__(self, model: ARWKV, chunk_steps: int = CHUNK_STEPS) -> None:
        if model.arch.position != "frequency":
            raise ValueError(
                "position: expected 'frequency', found 'absolute': a position table fixes the length"
            )
        if chunk_steps < 1:
            raise ValueError(f"chunk_steps: expected at least 1, found {chunk_steps}")
        self.model = model
        self._chunk_frames = chunk_steps * FRAMES_PER_STEP
        self._waiting: list[Tensor] = []  # log-mels short of a chunk
        self._x: list[Tensor] = []  # the residual stream in chunks (B, tokens, C)

    @torch.no_grad()
    def push(self, fbank: Tensor) -> None:
        """Take the next normalised log-mels ``(B, 1, frames, 128)``; of all together, whole steps."""
        waiting = torch.cat([*self._waiting, fbank], dim=2)
        whole = waiting.shape[2] // self._chunk_frames * self._chunk_frames
        for start in range(0, whole, self._chunk_frames):
            self._x.append(self.model.patches(waiting[:, :, start : start + self._chunk_frames]))
        # a clone, since a view would keep all of it alive
        self._waiting = [waiting[:, :, whole:].clone()] if whole < waiting.shape[2] else []

    @torch.no_grad()
    def step_embeddings(self, report: Report | None = None) -> Iterator[Tensor]:
        """Run all layers and yield what the head sees, ``(B, steps, C)``, chunk by chunk.

        Parameters
        ----------
        report : callable, optional
            Called after each chunk of each sweep; last, with 1.0, before the last chunk is yielded.

        Raises
        ------
        ValueError
            If nothing was pushed, or no whole number of steps.
        """
        if self._waiting:
            self._x.append(self.model.patches(self._waiting.pop()))
        x, self._x = self._x, []
        if not x:
            raise ValueError("fbank: expected at least one step to be pushed, found none")
        work = _Work(len(self.model.blocks) * len(x), report)
        v_first = [torch.empty_like(chunk) for chunk in x]
        from_behind = [torch.empty_like(chunk) for chunk in x]
        *blocks, last = cast(list[Block], list(self.model.blocks))
        for block in blocks:
            for _ in _run_block(block, x, v_first, from_behind, work):
                pass
        for i in _run_block(last, x, v_first, from_behind, work):
            yield self.model.ln_out(x[i].view(len(x[i]), -1, BANDS, x[i].shape[2]).mean(2))


class _Work:
    """How much is done, in chunks of layers."""

    def __init__(self, total: int, report: Report | None) -> None:
        self.total, self.done, self.report = total, 0.0, report

    def add(self, chunks: float) -> None:
        self.done += chunks
        if self.report is not None:
            self.report(min(self.done / self.total, 1.0))


def _run_block(
    block: Block, x: list[Tensor], v_first: list[Tensor], from_behind: list[Tensor], work: _Work
) -> Iterator[int]:
    """Run a block over all chunks ``(B, tokens, C)`` of x, in place, and yield the index of each finished one.

    Block 0 fills v_first; from_behind is where the backward sweep leaves its output.
    """
    att = block.att
    provides_value = att.layer == 0
    chunks = range(len(x))

    def inputs(i: int, before: Tensor | None) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        h, shift = att.shift_between(_with_neighbours(block.ln1, before, x, i))
        return h, shift, att.recurrence_inputs(h, shift, None if provides_value else v_first[i])

    state: Tensor | None = None
    for i in reversed(chunks):
        _, _, recurrence = inputs(i, x[i - 1][:, -BANDS:] if i else None)
        if provides_value:
            v_first[i].copy_(recurrence[3].flatten(2))
        y, state = wkv7_sweep(*recurrence, state=state, reverse=True)
        from_behind[i].copy_(y.flatten(2))
        work.add(BACKWARD_SHARE)

    state = None
    # the last steps of the chunk before: as it came into the block, and between its sub-layers
    before_time: Tensor | None = None
    before_channel: Tensor | None = None

    def mix_channels(i: int) -> Tensor:
        edge = x[i][:, -BANDS:].clone()
        x[i] += block.ffn.mix(*block.ffn.shift_between(_with_neighbours(block.ln2, before_channel, x, i)))
        work.add(1 - BACKWARD_SHARE)
        return edge

    for i in chunks:
        h, shift, (r, w, k, v, a, b) = inputs(i, before_time)
        before_time = x[i][:, -BANDS:].clone()
        y, state = wkv7_sweep(r, w, k, v, a, b, state)
        y = torch.lerp(from_behind[i].view_as(y), y, att.direction_gate(shift)[..., None])
        x[i] += att.combine(h, shift, r, k, v, y)
        if i > 0:
            before_channel = mix_channels(i - 1)
            yield i - 1
    mix_channels(chunks[-1])
    yield chunks[-1]


def _with_neighbours(norm: nn.LayerNorm, before: Tensor | None, x: list[Tensor], i: int) -> Tensor:
    """Normalise chunk i and the steps next to it: ``(B, 8 + tokens + 8, C)``, zeros beyond the ends of the input."""
    after = x[i + 1][:, :BANDS] if i + 1 < len(x) else None
    h = norm(torch.cat([part for part in (before, x[i], after) if part is not None], 1))
    return nn.functional.pad(h, (0, 0, BANDS if before is None else 0, BANDS if after is None else 0))
