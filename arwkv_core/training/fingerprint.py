"""All that affects the result of a run, as one hash: a run is gone on with only where nothing of it has changed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math

import numpy as np

from .corpus import Corpus
from .recipe import Recipe

ADDED = {
    "network": ("head", "head_bias"),
    "data": ("temperature",),
    "sampling": ("mixed",),
    "mixing": ("rounds", "background"),
    "augmentation": (
        "noise_probability",
        "noise_snr_db",
        "reverberation_probability",
        "reverberation_seconds",
    ),
    "loss": ("class_weights",),
    "validation": ("patience",),
}
"""Entries of a recipe that older versions had not: at their defaults they count for nothing, so that runs go on."""


def fingerprint(recipe: Recipe, corpus: Corpus, start_sha256: str) -> str:
    """Hash a recipe, a corpus with its targets, and the weights to start from."""
    tables = dataclasses.asdict(recipe)
    for table, keys in ADDED.items():
        defaults = dataclasses.asdict(type(getattr(recipe, table))())
        for key in keys:
            if tables[table][key] == defaults[key]:
                del tables[table][key]
    digest = hashlib.sha256(json.dumps(tables, sort_keys=True).encode())
    digest.update(start_sha256.encode())
    digest.update("\n".join(f"{clip.path.name} {clip.split} {clip.known}" for clip in corpus.clips).encode())
    parts = [(clip.start, clip.end) for clip in corpus.clips]
    if any(part != (0, math.inf) for part in parts):
        digest.update(repr(parts).encode())
    digest.update(np.ascontiguousarray(corpus.teacher).data)
    digest.update(" ".join(corpus.labels.mids).encode())
    return digest.hexdigest()
