"""The card of a probe: what it was made of, and how it did on sounds that it was not fitted to."""

from __future__ import annotations

from arwkv_core.labelled.card_table import result_lines
from arwkv_core.model_config import ModelConfig

from .report import ProbeReport

MEANING = {
    "softmax": "Scores share a sum of one among the classes: whatever sounds is taken for one of them.",
    "sigmoid": "Each class is scored by itself: none or several may sound.",
}


def card_text(report: ProbeReport, config: ModelConfig) -> str:
    """Write a model card from a report; what the model can't do is for its author to add."""
    lines = [
        f"# {report.name}",
        "",
        f"The network of {report.model} with a new head for {config.architecture.classes} classes: logistic regression",
        f"(C = {report.strength:g}) on its embeddings of {config.training['clips']} labelled sounds.",
        MEANING[report.score_function],
        "",
        "## Metrics",
        "",
    ]
    if report.test is not None:
        lines += [*result_lines("the split test, which was not learnt from", report.test), ""]
    count = len(report.folds)
    lines += result_lines(
        f"cross-validation in {count} folds, each measured by a regression that was fitted to the others",
        report.cross_validation,
    )
    return "\n".join(lines) + "\n"
