"""The shape of an A-RWKV network, as plain numbers: readable without torch."""

from dataclasses import dataclass
from typing import Literal

from .constants import BANDS, FRAMES_PER_STEP, MODEL_FRAMES
from .errors import ConfigError

HEAD_SIZE = 64
"""Channels of a head (N)."""

Position = Literal["absolute", "frequency"]


def _to_rank(raw: float) -> int:
    """Round a rank to a multiple of 32, at least 32, as the published models do."""
    return max(32, 32 * round(raw / 32))


@dataclass(frozen=True)
class Architecture:
    """Depth, width and positions of a network.

    Parameters
    ----------
    depth : int
        Blocks.
    width : int
        Channels C, a multiple of 64.
    classes : int
        Rows of the head.
    position : {"absolute", "frequency"}
        ``absolute``: a learned vector for each of ``frames / 16 * 8`` tokens, which fixes the length.
        ``frequency``: a learned vector for each of the 8 bands, so that any length works.
    frames : int
        Length of the model's window in log-mel frames (10 ms each), a multiple of 16.
    head_bias : bool
        Whether the head adds a number for each class. The published models have none; a head that was fitted to
        embeddings (`arwkv probe`) does.

    Raises
    ------
    ConfigError
        If a number is out of range.
    """

    depth: int
    width: int
    classes: int
    position: Position = "absolute"
    frames: int = MODEL_FRAMES
    head_bias: bool = False

    def __post_init__(self) -> None:
        for name in ("depth", "classes"):
            if getattr(self, name) < 1:
                raise ConfigError(f"architecture: {name} must be at least 1, found {getattr(self, name)}")
        if self.width < HEAD_SIZE or self.width % HEAD_SIZE:
            raise ConfigError(f"architecture: width must be a multiple of {HEAD_SIZE}, found {self.width}")
        if self.frames < FRAMES_PER_STEP or self.frames % FRAMES_PER_STEP:
            raise ConfigError(
                f"architecture: frames must be a multiple of {FRAMES_PER_STEP}, found {self.frames}"
            )
        if self.position not in ("absolute", "frequency"):
            raise ConfigError(
                f"architecture: position must be 'absolute' or 'frequency', found {self.position!r}"
            )

    @property
    def heads(self) -> int:
        """Heads H of 64 channels."""
        return self.width // HEAD_SIZE

    @property
    def steps(self) -> int:
        """Time steps of a window (160 ms each)."""
        return self.frames // FRAMES_PER_STEP

    @property
    def positions(self) -> int:
        """Rows of the position table."""
        return BANDS if self.position == "frequency" else self.steps * BANDS

    @property
    def decay_rank(self) -> int:
        """Inner width of the low-rank decay and learning-rate projections (``w1``, ``a1``)."""
        return _to_rank(1.8 * self.width**0.5)

    @property
    def value_rank(self) -> int:
        """Inner width of the low-rank value-residual projection (``v1``)."""
        return _to_rank(1.3 * self.width**0.5)

    @property
    def gate_rank(self) -> int:
        """Inner width of the low-rank output gate (``g1``)."""
        return _to_rank(0.6 * self.width**0.8)
