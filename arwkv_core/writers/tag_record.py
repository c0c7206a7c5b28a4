"""The object that stands for a recording in json and jsonl, and how numbers are rounded in every format."""

from typing import Any

from ..results import SCHEMA_VERSION, Coverage, TagResult

DECIMALS = 6
"""Of scores and seconds: finer than float32 scores and than a sample's length at any rate."""


def rounded(value: float) -> float:
    """Round a number for a file."""
    return round(value, DECIMALS)


def tag_record(result: TagResult) -> dict[str, Any]:
    """Turn a recording's tags into plain dicts, lists and numbers."""
    return {
        "schema_version": SCHEMA_VERSION,
        "file": result.file,
        "model": result.model,
        "calibration": result.calibration,
        "coverage": coverage_record(result.coverage),
        "pool": result.pool,
        "active_threshold": rounded(result.active_threshold),
        "tags": [
            {
                "name": tag.name,
                "mid": tag.mid,
                "mean": rounded(tag.mean),
                "max": rounded(tag.max),
                "active_seconds": rounded(tag.active_seconds),
            }
            for tag in result.tags
        ],
        "warnings": list(result.warnings),
    }


def coverage_record(coverage: Coverage) -> dict[str, Any]:
    """Turn the proof of how much was heard into plain numbers."""
    header = coverage.header_seconds
    return {
        "header_seconds": None if header is None else rounded(header),
        "decoded_seconds": rounded(coverage.decoded_seconds),
        "filled_seconds": rounded(coverage.filled_seconds),
        "analysed_seconds": rounded(coverage.analysed_seconds),
        "steps": coverage.steps,
        "invalid_samples": coverage.invalid_samples,
    }
