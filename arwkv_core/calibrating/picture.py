"""The reliability diagram as SVG: no library draws it, so it looks the same everywhere and a difference can be read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from .reliability import Bin

SIDE = 320
"""Pixels of the square from probability 0 to 1, both ways."""

LEFT, TOP, BELOW = 58, 40, 58
WIDEST_DOT = 8.0
COLOURS = {"before": "#b0b0b0", "after": "#2166ac"}


def draw(name: str, before: Sequence[Bin], after: Sequence[Bin]) -> str:
    """Draw how often what was said to be so probable was there.

    Parameters
    ----------
    name : str
        Of the model.
    before, after : sequence of Bin
        Of scores as the network gives them, and of calibrated ones. The area of a dot grows with the logarithm of the
        number of clips' worth of scores in it.

    Returns
    -------
    str
        The text of an SVG file.
    """
    width, height = LEFT + SIDE + 20, TOP + SIDE + BELOW
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"',
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="{LEFT}" y="20" font-size="14">{escape(name)}: what was said, and what was there</text>',
    ]
    for tenth in range(0, 11, 2):
        value = tenth / 10
        x, y = _place(value, value)
        parts += [
            f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{TOP + SIDE}" stroke="#eeeeee"/>',
            f'<line x1="{LEFT}" y1="{y:.1f}" x2="{LEFT + SIDE}" y2="{y:.1f}" stroke="#eeeeee"/>',
            f'<text x="{x:.1f}" y="{TOP + SIDE + 18}" text-anchor="middle">{value:g}</text>',
            f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>',
        ]
    middle = TOP + SIDE / 2
    parts += [
        f'<line x1="{LEFT}" y1="{TOP + SIDE}" x2="{LEFT + SIDE}" y2="{TOP}" stroke="#888888" stroke-dasharray="4 4"/>',
        f'<text x="{LEFT + SIDE / 2:g}" y="{TOP + SIDE + 38}" text-anchor="middle">score or probability</text>',
        f'<text x="16" y="{middle:g}" text-anchor="middle" transform="rotate(-90 16 {middle:g})">',
        "share that was there</text>",
    ]
    for place, (key, bins) in enumerate((("before", before), ("after", after))):
        parts += _curve(bins, COLOURS[key])
        x, y = LEFT + 14, TOP + 18 + 18 * place
        title = {"before": "scores of the network", "after": "calibrated"}[key]
        parts += [
            f'<circle cx="{x}" cy="{y - 4}" r="5" fill="{COLOURS[key]}"/>',
            f'<text x="{x + 12}" y="{y}">{title}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])


def _place(x: float, y: float) -> tuple[float, float]:
    return LEFT + SIDE * x, TOP + SIDE * (1 - y)


def _curve(bins: Sequence[Bin], colour: str) -> list[str]:
    points = [_place(entry.probability, entry.observed) for entry in bins]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    most = max((math.log1p(entry.clips) for entry in bins), default=1.0)
    dots = []
    for (x, y), entry in zip(points, bins, strict=True):
        radius = max(1.5, WIDEST_DOT * math.sqrt(math.log1p(entry.clips) / most))
        title = f"{entry.probability:.2f}: {entry.observed:.2f} of {entry.clips:.0f} clips"
        dots.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{colour}" fill-opacity="0.8"><title>{title}'
            "</title></circle>"
        )
    return [f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>', *dots]
