"""The card of a freshly trained model: where it comes from and what was measured."""

from __future__ import annotations

from arwkv_core.model_config import ModelConfig

from .corpus import Corpus


def card_text(config: ModelConfig, corpus: Corpus) -> str:
    """Write a model card from a config; what the model can't do is for its author to add."""
    shape = config.architecture
    lines = [
        f"# {config.name}",
        "",
        f"A-RWKV, {shape.depth} blocks of width {shape.width}, {shape.position} positions.",
        f"{shape.classes} classes, {config.score_function} scores.",
        "",
        "## Training",
        "",
        f"{len(corpus.split('train'))} clips, {config.training['steps']} steps.",
    ]
    valid = config.metrics.get("valid")
    if isinstance(valid, dict):
        lines += ["", "## Metrics on the validation split", "", "| measure | value |", "|---|---|"]
        lines += [f"| {key} | {value} |" for key, value in valid.items()]
    return "\n".join(lines) + "\n"
