"""What was measured, as a table of a model's card."""

from __future__ import annotations

from .result import Result


def result_lines(title: str, result: Result) -> list[str]:
    """Lines of Markdown: the numbers of all classes together, and of each."""
    lines = [f"On {title}:", "", "| measure | value |", "|---|---|"]
    lines += [f"| {key} | {value} |" for key, value in result.summary().items()]
    lines += ["", "| class | clips | average precision | AUC | recall |", "|---|---|---|---|---|"]
    for each in result.classes:
        name = each.name.replace("|", "\\|")
        numbers = " | ".join(_number(value) for value in (each.ap, each.auc, each.recall))
        lines.append(f"| {name} | {each.clips} | {numbers} |")
    return lines


def _number(value: float) -> str:
    return "–" if value != value else f"{value:.3f}"
