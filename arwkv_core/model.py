"""A-RWKV: RWKV-7 in both directions over spectrogram patches (arXiv 2509.02167).

Glossary, letters as in the paper:

====  ==========================================================================================
B     batch
T     tokens, ``steps * 8``, time-major: token = step * 8 + band
C     width; H heads of N = 64 channels
x     the residual stream
xx    what the 2D token shift adds: a depthwise 3 x 3 convolution of x over (steps, bands), minus x
r     receptance, the query of the recurrence
w     log-log decay; the state decays by exp(-exp(w)) per token
k, v  key and value; v_first is the value of block 0, which later blocks mix in
a     in-context learning rate
kk    the normalised removal key
g     output gate; ``gate`` (B, T, H) weighs the forward against the backward direction
====  ==========================================================================================
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from arwkv_kernels import bi_wkv7

from .architecture import HEAD_SIZE, Architecture
from .constants import BANDS, FRAMES_PER_STEP, N_MELS, PATCH
from .initialisation import initialise_

__all__ = ["ARWKV", "Architecture"]

GROUP_NORM_EPS = 64e-5
"""Epsilon of ``ln_x``, RWKV's 1e-5 times the head size."""


class ShiftMixer(nn.Module):
    """What both sub-layers begin with: the 2D token shift.

    A depthwise convolution over the (steps, bands) grid takes the place of RWKV's shift by one token.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.time_shift = nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False)

    def shift(self, x: Tensor) -> Tensor:
        """Return ``xx``, the difference that each consumer mixes in by its own share."""
        B, T, C = x.shape
        # (B, steps, bands, C) seen as NCHW is channels-last already: no copy
        grid = x.view(B, T // BANDS, BANDS, C).permute(0, 3, 1, 2)  # (B, C, steps, bands)
        return self.time_shift(grid).permute(0, 2, 3, 1).reshape(B, T, C) - x  # (B, T, C)

    def shift_between(self, padded: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``x`` and ``xx`` of a stretch of a longer input.

        Parameters
        ----------
        padded : Tensor
            ``(B, 8 + T + 8, C)``: the stretch between the steps next to it, which are zeros where there are none.
        """
        B, T, C = padded.shape
        x = padded[:, BANDS:-BANDS]
        grid = padded.view(B, T // BANDS, BANDS, C).permute(0, 3, 1, 2)
        shifted = F.conv2d(grid, self.time_shift.weight, padding=(0, 1), groups=C)
        return x, shifted.permute(0, 2, 3, 1).reshape(x.shape) - x


class TimeMix(ShiftMixer):
    """The attention-like sub-layer around the Bi-WKV-7 recurrence.

    Parameters
    ----------
    arch : Architecture
    layer : int
        Index of the block; block 0 provides ``v_first`` instead of mixing it in.
    """

    # the share that each consumer takes of the shift, and the offsets and scales of its channels: (1, 1, C)
    x_r: Tensor
    x_w: Tensor
    x_k: Tensor
    x_v: Tensor
    x_a: Tensor
    x_g: Tensor
    w0: Tensor
    a0: Tensor
    v0: Tensor
    k_k: Tensor
    k_a: Tensor
    # low ranks: (C, rank) and (rank, C)
    w1: Tensor
    w2: Tensor
    a1: Tensor
    a2: Tensor
    v1: Tensor
    v2: Tensor
    g1: Tensor
    g2: Tensor

    def __init__(self, arch: Architecture, layer: int) -> None:
        super().__init__(arch.width)
        C, H = arch.width, arch.heads
        self.layer, self.heads = layer, H
        for name in ("x_r", "x_w", "x_k", "x_v", "x_a", "x_g", "w0", "a0", "v0", "k_k", "k_a"):
            self.register_parameter(name, nn.Parameter(torch.empty(1, 1, C)))
        ranks = {"w": arch.decay_rank, "a": arch.decay_rank, "v": arch.value_rank, "g": arch.gate_rank}
        for letter, rank in ranks.items():
            self.register_parameter(f"{letter}1", nn.Parameter(torch.empty(C, rank)))
            self.register_parameter(f"{letter}2", nn.Parameter(torch.empty(rank, C)))
        self.r_k = nn.Parameter(torch.empty(H, HEAD_SIZE))
        self.gate = nn.Conv1d(C, H, 1, groups=H, bias=False)
        self.receptance = nn.Linear(C, C, bias=False)
        self.key = nn.Linear(C, C, bias=False)
        self.value = nn.Linear(C, C, bias=False)
        self.output = nn.Linear(C, C, bias=False)
        self.ln_x = nn.GroupNorm(H, C, eps=GROUP_NORM_EPS)

    def forward(self, x: Tensor, v_first: Tensor | None) -> tuple[Tensor, Tensor]:
        """Mix tokens over time and frequency.

        Parameters
        ----------
        x : Tensor
            ``(B, T, C)``, layer-normalised.
        v_first : Tensor or None
            Value of block 0, ``(B, T, C)``; None in block 0.

        Returns
        -------
        out : Tensor
            ``(B, T, C)``
        v_first : Tensor
            Handed on to the next block.
        """
        xx = self.shift(x)
        r, w, k, v, a, b = self.recurrence_inputs(x, xx, v_first)
        y = bi_wkv7(r, w, k, v, a, b, self.direction_gate(xx))  # (B, T, H, N)
        return self.combine(x, xx, r, k, v, y), v.view(x.shape) if v_first is None else v_first

    def recurrence_inputs(self, x: Tensor, xx: Tensor, v_first: Tensor | None) -> tuple[Tensor, ...]:
        """Make r, w, k, v, a, b of Bi-WKV-7, ``(B, T, H, N)``, of the parameters of `forward` and the shift."""
        B, T, _ = x.shape
        heads = (B, T, self.heads, HEAD_SIZE)
        r = self.receptance(x + xx * self.x_r)  # (B, T, C)
        k = self.key(x + xx * self.x_k)
        x_v = x + xx * self.x_v
        v = self.value(x_v)
        if v_first is not None:
            v = v + (v_first - v) * torch.sigmoid(self.v0 + (x_v @ self.v1) @ self.v2)
        w = -F.softplus(-(self.w0 + torch.tanh((x + xx * self.x_w) @ self.w1) @ self.w2)) - 0.5
        a = torch.sigmoid(self.a0 + ((x + xx * self.x_a) @ self.a1) @ self.a2)
        kk = F.normalize((k * self.k_k).view(heads), dim=-1, eps=1e-12)  # (B, T, H, N)
        k = k * (1 + (a - 1) * self.k_a)
        r, w, k, v, a = (t.view(heads) for t in (r, w, k, v, a))
        return r, w, k, v, -kk, kk * a

    def direction_gate(self, xx: Tensor) -> Tensor:
        """Share of the forward direction, ``(B, T, H)``."""
        B, T, _ = xx.shape
        # the grouped 1 x 1 convolution C -> H is a dot product in each head
        return torch.sigmoid((xx.view(B, T, self.heads, HEAD_SIZE) * self.gate.weight[:, :, 0]).sum(-1))

    def combine(self, x: Tensor, xx: Tensor, r: Tensor, k: Tensor, v: Tensor, y: Tensor) -> Tensor:
        """Normalise, add and gate what the recurrence gives, ``y`` ``(B, T, H, N)``: -> ``(B, T, C)``."""
        B, T, C = x.shape
        g = torch.sigmoid((x + xx * self.x_g) @ self.g1) @ self.g2
        y = self.ln_x(y.reshape(B * T, C)).view(B, T, self.heads, HEAD_SIZE)  # each token by itself
        y = y + (r * k * self.r_k).sum(-1, keepdim=True) * v
        return self.output(y.view(B, T, C) * g)


class ChannelMix(ShiftMixer):
    """The feed-forward sub-layer: squared ReLU, C -> 4C -> C."""

    def __init__(self, arch: Architecture) -> None:
        super().__init__(arch.width)
        self.x_k = nn.Parameter(torch.empty(1, 1, arch.width))
        self.key = nn.Linear(arch.width, 4 * arch.width)
        self.value = nn.Linear(4 * arch.width, arch.width)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, T, C)`` -> ``(B, T, C)``."""
        return self.mix(x, self.shift(x))

    def mix(self, x: Tensor, xx: Tensor) -> Tensor:
        """Apply the layer where the shift ``xx`` is known."""
        return self.value(torch.relu(self.key(x + xx * self.x_k)) ** 2)


class Block(nn.Module):
    """Time mix and channel mix, each behind a layer norm and around a residual.

    ``drop_path`` is the probability that a sample skips a sub-layer in training (stochastic depth).
    """

    def __init__(self, arch: Architecture, layer: int, drop_path: float = 0.0) -> None:
        super().__init__()
        self.drop_path = drop_path
        self.ln1 = nn.LayerNorm(arch.width)
        self.att = TimeMix(arch, layer)
        self.ln2 = nn.LayerNorm(arch.width)
        self.ffn = ChannelMix(arch)

    def forward(self, x: Tensor, v_first: Tensor | None) -> tuple[Tensor, Tensor]:
        """``(B, T, C)`` and block 0's value -> the same."""
        out, v_first = self.att(self.ln1(x), v_first)
        x = x + self._skip(out)
        return x + self._skip(self.ffn(self.ln2(x))), v_first

    def _skip(self, out: Tensor) -> Tensor:
        if not self.training or self.drop_path == 0:
            return out
        keep = 1 - self.drop_path
        # divided by keep, so that the expectation is that of evaluation
        return out * (torch.rand(out.shape[0], 1, 1, device=out.device) < keep) / keep


class ARWKV(nn.Module):
    """The network: log-mel patches -> tokens -> logits.

    Parameters
    ----------
    arch : Architecture
    drop_path : float
        Stochastic depth of the last block; it rises linearly from 0 in the first.

    Examples
    --------
    >>> model = ARWKV(Architecture(depth=2, width=64, classes=10, position="frequency"))
    >>> model(torch.zeros(1, 1, 320, 128)).shape
    torch.Size([1, 10])
    """

    def __init__(self, arch: Architecture, drop_path: float = 0.0) -> None:
        super().__init__()
        self.arch = arch
        self.pos_embed = nn.Parameter(torch.empty(1, arch.positions, arch.width))
        self.emb = nn.Conv2d(1, arch.width, PATCH, stride=PATCH)
        rise = drop_path / max(arch.depth - 1, 1)
        self.blocks = nn.ModuleList(Block(arch, layer, rise * layer) for layer in range(arch.depth))
        self.ln_out = nn.LayerNorm(arch.width)
        self.head = nn.Linear(arch.width, arch.classes, bias=arch.head_bias)
        initialise_(self)

    def patches(self, fbank: Tensor) -> Tensor:
        """Cut the spectrogram into 16 x 16 patches and embed them.

        Parameters
        ----------
        fbank : Tensor
            Normalised log-mels ``(B, 1, frames, 128)``.

        Returns
        -------
        Tensor
            ``(B, T, C)``, time-major.

        Raises
        ------
        ValueError
            If the shape is not that, or the length is not one that the position table allows.
        """
        self.check_input(fbank)
        grid = self.emb(fbank).permute(0, 2, 3, 1)  # (B, steps, bands, C)
        B, steps, bands, C = grid.shape
        # frequency: (1, 8, C) for every step; absolute: (1, steps * 8, C)
        table = self.pos_embed.view(1, -1, bands, C)
        return (grid + table).reshape(B, steps * bands, C)

    def check_input(self, fbank: Tensor) -> None:
        """Refuse log-mels of a shape or length that the network does not take; see `patches`."""
        if fbank.ndim != 4 or fbank.shape[1] != 1 or fbank.shape[3] != N_MELS:
            raise ValueError(f"fbank: expected (B, 1, frames, {N_MELS}), found {tuple(fbank.shape)}")
        frames = fbank.shape[2]
        if self.arch.position == "absolute" and frames != self.arch.frames:
            raise ValueError(
                f"fbank: expected {self.arch.frames} frames, found {frames}: this model has an absolute "
                "position table; cut or pad the log-mels, or let Tagger do it"
            )
        if frames < FRAMES_PER_STEP or frames % FRAMES_PER_STEP:
            raise ValueError(f"fbank: expected a multiple of {FRAMES_PER_STEP} frames, found {frames}")

    def tokens(self, fbank: Tensor) -> Tensor:
        """Run all blocks.

        Parameters
        ----------
        fbank : Tensor
            Normalised log-mels ``(B, 1, frames, 128)``.

        Returns
        -------
        Tensor
            ``(B, steps, 8, C)``
        """
        x = self.patches(fbank)
        v_first: Tensor | None = None
        for block in self.blocks:
            x, v_first = block(x, v_first)
        return x.view(x.shape[0], -1, BANDS, x.shape[2])

    def forward(self, fbank: Tensor) -> Tensor:
        """Logits of the whole input: ``(B, 1, frames, 128)`` normalised -> ``(B, classes)``."""
        return self.head(self.ln_out(self.tokens(fbank).mean((1, 2))))

    def clip_and_step_logits(self, fbank: Tensor) -> tuple[Tensor, Tensor]:
        """What `forward` and `step_logits` give, in one pass: ``(B, classes)``, ``(B, steps, classes)``."""
        steps = self.tokens(fbank).mean(2)  # (B, steps, C)
        return self.head(self.ln_out(steps.mean(1))), self.head(self.ln_out(steps))

    def step_embeddings(self, fbank: Tensor) -> Tensor:
        """One vector for every 160 ms, what the head sees: -> ``(B, steps, C)``."""
        return self.ln_out(self.tokens(fbank).mean(2))

    def step_logits(self, fbank: Tensor) -> Tensor:
        """Logits for every 160 ms: ``(B, 1, frames, 128)`` normalised -> ``(B, steps, classes)``."""
        return self.head(self.step_embeddings(fbank))
