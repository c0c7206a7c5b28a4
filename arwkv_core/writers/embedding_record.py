"""What every format says of a recording's embeddings besides the numbers, and how the numbers are kept."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError

if TYPE_CHECKING:
    from ..embeddings import EmbeddingStream

SCHEMA_VERSION = 1
"""Version of the files of embeddings; it rises when a field changes or goes."""

DTYPES = ("float32", "float16")

TIME_DTYPE = "<f8"


def embedding_record(stream: EmbeddingStream, vectors: int, width: int, dtype: str) -> dict[str, Any]:
    """Turn all that is known of a recording's embeddings into plain values, as JSON has them.

    Parameters
    ----------
    stream : EmbeddingStream
        Run to its end.
    vectors, width : int
        Shape of the embeddings.
    dtype : str

    Returns
    -------
    dict
        ``schema_version``, ``file``, ``level``, ``vectors``, ``width``, ``dtype``, ``model`` (name, weights_sha256),
        ``front_end``, ``windows``, ``coverage`` (in full precision: its ``decoded_seconds`` is the last vector's
        end), ``warnings``.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "file": stream.file,
        "vectors": vectors,
        "width": width,
        "dtype": dtype,
        **stream.provenance,
        "coverage": dataclasses.asdict(stream.coverage),
        "warnings": list(stream.warnings),
    }


def stored(vectors: NDArray[np.float32], dtype: str, file: str) -> NDArray[Any]:
    """Return vectors as files keep them: little-endian, contiguous. The recording's name is for the message.

    Raises
    ------
    UsageError
        If float16 has no number so large.
    """
    with np.errstate(over="ignore"):
        kept = np.ascontiguousarray(vectors, dtype=np.dtype(dtype).newbyteorder("<"))
    if dtype == "float16" and not np.isfinite(kept).all():
        largest = float(np.abs(vectors).max())
        raise UsageError(
            f"{file}: --dtype float16 holds numbers up to 65504, found {largest:g}; float32 holds all"
        )
    return kept


def check_dtype(dtype: str) -> None:
    """Refuse a type of numbers that isn't one of `DTYPES`."""
    if dtype not in DTYPES:
        raise UsageError(f"--dtype: expected {', '.join(DTYPES)}, found {dtype}")
