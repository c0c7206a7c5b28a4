"""arwkv: what is in a long recording, and when (AudioRWKV, arXiv 2509.02167).

The names below are the public API. They are imported when first used, so that ``import arwkv_core`` is quick
and brings in neither torch nor numba.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_HOME = {  # public name -> module that defines it
    "ARWKV": "model",
    "Architecture": "model",
    "ArwkvError": "errors",
    "AudioStream": "audio",
    "Calibration": "calibration",
    "Clip": "clip_folder",
    "ClipSettings": "clip_plan",
    "Coverage": "results",
    "DatasetError": "errors",
    "EmbeddingStream": "embeddings",
    "Embeddings": "embeddings",
    "Event": "results",
    "EventSettings": "event_settings",
    "Groups": "groups",
    "LabelSet": "labels",
    "LogMelStream": "features",
    "ModelConfig": "model_config",
    "Ontology": "ontology",
    "StartTime": "results",
    "StepScores": "scores",
    "Tag": "results",
    "TagResult": "results",
    "Tagger": "tagger",
    "Timeline": "results",
    "bench": "benchmark.bench",
    "calibrate": "calibrating.calibrate",
    "doctor": "diagnosis.doctor",
    "embed": "embeddings",
    "extract_events": "extract",
    "finetune": "training.finetune",
    "finetune_folds": "training.fold_runs",
    "find_start_time": "start_time",
    "load": "tagger",
    "load_model": "checkpoint",
    "log_mel": "features",
    "open_audio": "audio",
    "probe": "probing.probe",
    "read_timelines": "timeline_reader",
    "save_model_folder": "checkpoint",
    "tag": "tagger",
    "timeline": "timelines",
    "timeline_of": "timelines",
    "wall_clock": "start_time",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
