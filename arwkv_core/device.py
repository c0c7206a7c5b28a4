"""On which device a model runs, and why."""

import logging

import torch

from .errors import UsageError

logger = logging.getLogger("arwkv.device")

AUTO = "auto"


def choose_device(device: str = AUTO) -> torch.device:
    """Turn what the user asked for into a device that works here; the choice and its reason are logged.

    Parameters
    ----------
    device : str
        ``auto``, ``cpu``, or any torch device such as ``cuda:1``.

    Returns
    -------
    torch.device

    Raises
    ------
    UsageError
        If torch doesn't know the device or can't use it here.
    """
    if device == AUTO:
        chosen, reason = fastest_device()
        logger.info("device %s: %s", chosen, reason)
        return chosen
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)  # builds without CUDA, missing drivers and absent cards show only here
    except (AssertionError, NotImplementedError, RuntimeError) as error:
        why = str(error).strip().split("\n")[0]
        raise UsageError(f"--device {device}: can't be used here ({why}); try auto or cpu") from error
    return chosen


def fastest_device() -> tuple[torch.device, str]:
    """The device that ``auto`` takes, and why."""
    cpu = torch.device("cpu")
    if not torch.cuda.is_available():
        return cpu, "torch finds no CUDA device"
    from arwkv_kernels import BackendError, select

    cuda = torch.device("cuda")
    try:
        backend = select(cuda, torch.float32).name
    except BackendError as error:
        return cpu, f"CUDA is there, but {error}"
    if backend == "reference":
        return cpu, "CUDA is there, but our kernel has only a slow reference for it (--device cuda takes it)"
    return cuda, f"CUDA is there, with the {backend} kernel"
