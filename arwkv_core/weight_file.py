"""Named tensors from a file that may be anything: a checkpoint, a web page, half a download.

Nothing in a file is executed: torch's loader is held to ``weights_only``, safetensors can't hold code.
"""

from __future__ import annotations

import os
import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .errors import CheckpointError

WRAPPERS = ("state_dict", "model", "model_state_dict")
"""Keys under which training programs keep the weights beside their optimiser."""

PARALLEL_PREFIX = "module."
"""What ``DataParallel`` puts before every key."""

FLOATS = (torch.bfloat16, torch.float16, torch.float32, torch.float64)

ZIP_START = b"PK\x03\x04"
"""torch's format since 1.6, a zip archive."""
TORCH_MAGIC = (0x1950A86A20F9469CFC6C).to_bytes(10, "little")
"""Stands pickled at the beginning of torch's first format."""
SAFETENSORS_JSON = b"\0\0{"
"""From byte 6: the end of the header's length (8 bytes, little-endian), and its JSON."""

WANTED = "expected the weights of an A-RWKV model (.pth or .safetensors)"
HALF = "a truncated or damaged file: download or copy it again"


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a checkpoint, whatever its container.

    Parameters
    ----------
    path : Path
        A ``state_dict`` saved by torch (either of its formats, also inside a dict under `WRAPPERS`), or
        safetensors. The content decides, not the suffix.

    Returns
    -------
    dict of str to Tensor
        In the file's order and precision, mapped into memory where the container allows it; ``module.`` is
        dropped from the keys.

    Raises
    ------
    CheckpointError
        If the file can't be read, is truncated, is something else, or holds anything but float tensors.
    """
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        raise CheckpointError(f"{path}: can't be read: {error.strerror}") from error
    if head.startswith(ZIP_START):
        found = _read_torch(path, mmap=_check_zip(path))
    elif TORCH_MAGIC in head[:32]:
        found = _read_torch(path, mmap=False)
    elif head[6:9] == SAFETENSORS_JSON:
        found = _read_safetensors(path)
    else:
        raise CheckpointError(f"{path}: {WANTED}, found {_describe(head)}")
    return _named_tensors(path, found)


def _describe(head: bytes) -> str:
    """Say what a file is that holds no weights, from its first bytes."""
    start = head.lstrip().lower()
    if not head:
        return "an empty file"
    if start.startswith((b"<!doctype", b"<html", b"<head")):
        return (
            "a web page: the download failed (Google Drive asks before it sends a large file); fetch it again"
        )
    if head.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer: run `git lfs pull`"
    if head.startswith((b"\x1f\x8b", b"7z\xbc\xaf", b"Rar!", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")):
        return "a compressed archive: unpack it first"
    if head.startswith(b"\x80"):
        return "a pickle that torch did not write, or half a file"
    if head.isascii() and b"\0" not in head:
        return "a text file"
    return "a file of another kind, or half a file"


def _check_zip(path: Path) -> bool:
    """Refuse a zip archive that can't be a checkpoint; tell whether its tensors may be mapped into memory."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            damaged = archive.testzip()  # torch itself does not look at the checksums
    except Exception as error:  # damaged bytes make the reader raise whatever they happen to hit
        raise CheckpointError(f"{path}: {HALF}") from error
    if damaged is not None:
        raise CheckpointError(f"{path}: {HALF} (the checksum of {damaged} is wrong)")
    names = [member.filename.rpartition("/")[2] for member in members]
    if "constants.pkl" in names:
        raise CheckpointError(f"{path}: {WANTED}, found a TorchScript program: save its state_dict() instead")
    if "data.pkl" not in names:
        raise CheckpointError(f"{path}: {WANTED}, found a zip archive that torch did not write")
    # somebody packed it again: mapped, the packed bytes would pass for numbers
    return all(member.compress_type == zipfile.ZIP_STORED for member in members)


def _read_torch(path: Path, mmap: bool) -> object:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about deprecated storages, not the user's to mend
            return torch.load(os.fspath(path), map_location="cpu", weights_only=True, mmap=mmap)
    except pickle.UnpicklingError as error:
        named = re.search(r"(?:GLOBAL|[Cc]lass|type) '?([\w.]*\w)", str(error))
        if not named:
            raise CheckpointError(f"{path}: {HALF}") from error
        raise CheckpointError(
            f"{path}: {WANTED}, found Python objects ({named[1]}), which are never loaded: "
            "save the state_dict alone"
        ) from error
    except Exception as error:  # damaged bytes make torch's reader raise whatever they happen to hit
        raise CheckpointError(f"{path}: {HALF} ({_first_line(error)})") from error


def _read_safetensors(path: Path) -> object:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path, device="cpu")
    except (SafetensorError, OSError, ValueError, KeyError, RuntimeError, OverflowError) as error:
        raise CheckpointError(f"{path}: {HALF} ({_first_line(error)})") from error


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200].rstrip(".") if lines else type(error).__name__


def _named_tensors(path: Path, found: object) -> dict[str, Tensor]:
    if isinstance(found, Mapping):
        found = next((found[key] for key in WRAPPERS if isinstance(found.get(key), Mapping)), found)
    if not isinstance(found, Mapping):
        raise CheckpointError(f"{path}: {WANTED}, found a {type(found).__name__}")
    tensors: dict[str, Tensor] = {}
    for key, value in found.items():
        name = str(key).removeprefix(PARALLEL_PREFIX)
        if problem := _not_a_weight(value):
            raise CheckpointError(
                f"{path}: {name}: expected a tensor of floating-point numbers, found {problem}"
            )
        if name in tensors:
            raise CheckpointError(f"{path}: {name}: stands there twice, with and without {PARALLEL_PREFIX!r}")
        tensors[name] = value
    if not tensors:
        raise CheckpointError(f"{path}: {WANTED}, found no tensors")
    return tensors


def _not_a_weight(value: Any) -> str | None:
    if not isinstance(value, Tensor):
        return type(value).__name__
    if value.dtype not in FLOATS:
        return str(value.dtype).removeprefix("torch.")
    if value.layout != torch.strided or value.device.type != "cpu":
        return f"a {value.layout} tensor on {value.device}"
    return None
