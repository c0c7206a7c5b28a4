"""Which backend runs on which of this machine's devices, or why not: ``arwkv kernels list``."""

from dataclasses import dataclass

import torch

from . import op  # noqa: F401  # makes the backends known
from .registry import backends, select


@dataclass(frozen=True)
class Standing:
    """One backend on one device.

    Attributes
    ----------
    backend : str
    device : str
        ``cpu``, ``cuda:0``, ...
    reason : str or None
        Why it can't run there; None where it can.
    chosen : bool
        Whether it is the one that arwkv takes there.
    """

    backend: str
    device: str
    reason: str | None
    chosen: bool


def survey(dtype: torch.dtype = torch.float32) -> list[Standing]:
    """Every backend on every device, in the order in which backends are tried.

    What runs is compiled for that, where it is not yet; what does not run, for whatever reason, is no error here.

    Parameters
    ----------
    dtype : torch.dtype
        Of v.

    Raises
    ------
    BackendError
        If ``ARWKV_BACKEND`` names a backend that is unknown or can't run on one of the devices.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    standings = []
    for device in (torch.device("cpu"), *(torch.device("cuda", index) for index in range(count))):
        chosen = select(device, dtype).name
        for backend in backends():
            reason = backend.obstacle(device, dtype, False)
            standings.append(Standing(backend.name, str(device), reason, backend.name == chosen))
    return standings
