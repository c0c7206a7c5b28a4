"""A model to compare with."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

WINDOW_SECONDS = 9.92
"""Of sound in a window, A-RWKV's own; a peer that takes another length gets windows of that length."""


class PeerMissing(Exception):
    """A peer can't run here; the message says why."""


@dataclass(frozen=True)
class Peer:
    """A model to compare with.

    Attributes
    ----------
    key : str
    what : str
        Its name for people.
    packages : tuple of str
        What must be installed, by the names of import and registry alike.
    build : callable
        Gives the network with random weights, in float32, and may raise `PeerMissing`.
    inputs : callable
        ``inputs(windows)`` gives what the network takes for so many windows of sound.
    windows : int
        At once: as many as keep it busy.
    seconds : float
        Of sound in a window.
    bfloat16 : bool
        Whether it can run in bfloat16.
    note : str
        How it differs from the original.
    """

    key: str
    what: str
    packages: tuple[str, ...]
    build: Callable[[], nn.Module]
    inputs: Callable[[int], Tensor]
    windows: int
    seconds: float = WINDOW_SECONDS
    bfloat16: bool = True
    note: str = ""

    def obstacle(self) -> str | None:
        """Why it can't run here, as far as the installed packages tell; None where it can."""
        missing = [name for name in self.packages if importlib.util.find_spec(name) is None]
        return f"not installed (pip install {' '.join(missing)})" if missing else None


def random_spectrograms(windows: int, frames: int, bins: int) -> Tensor:
    """Normalised log-mels of noise ``(windows, frames, bins)``."""
    return torch.randn((windows, frames, bins), generator=torch.Generator().manual_seed(0))
