"""Is a result near enough to what it should be? Nothing is timed before that is known."""

from __future__ import annotations

import torch
from torch import Tensor

from arwkv_core.errors import ArwkvError


class WrongOutput(ArwkvError):
    """A path whose output is off: it gets no number."""


def require_close(name: str, found: Tensor, wanted: Tensor, tolerance: float) -> None:
    """Refuse a result that is off.

    Parameters
    ----------
    name : str
        For the message.
    found, wanted : Tensor
        Of one shape.
    tolerance : float
        Largest error, relative to the largest wanted value.

    Raises
    ------
    WrongOutput
        If the shape is another, a value is not finite, or the error is larger.
    """
    if found.shape != wanted.shape:
        raise WrongOutput(f"{name}: expected shape {tuple(wanted.shape)}, found {tuple(found.shape)}")
    require_finite(name, found)
    error = (found.double() - wanted.double()).abs().max().item()
    largest = wanted.double().abs().max().item()
    if not error <= tolerance * largest:
        raise WrongOutput(
            f"{name}: expected an error of at most {tolerance:.2g} of the largest value, found {error / largest:.2g}"
        )


def require_finite(name: str, found: Tensor) -> None:
    """Refuse a result with NaN or infinity in it."""
    if not bool(torch.isfinite(found).all()):
        raise WrongOutput(f"{name}: expected finite numbers, found NaN or infinity")
