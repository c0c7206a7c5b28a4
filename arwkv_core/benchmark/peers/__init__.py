"""What else one might use: audio taggers of other packages, with random weights, on windows of the same length."""

from __future__ import annotations

from . import ast, audio_mamba, cnn14, mobilenet, yamnet
from .peer import Peer

PEERS: tuple[Peer, ...] = (ast.PEER, audio_mamba.PEER, cnn14.PEER, mobilenet.PEER, yamnet.PEER)
"""In the order in which they are told of; the first is the one with a target."""

__all__ = ["PEERS", "Peer"]
