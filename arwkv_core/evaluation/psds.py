"""PSDS, the polyphonic sound detection score: how well events are found, whatever the threshold.

From its definition (Bilen et al., ICASSP 2020), with the exact curve of Ebbers et al. (ICASSP 2022): a detection is
what lies above a threshold without a break. It is relevant if a share of it (``dtc``) lies in true events of its class;
a true event is found if a share of it (``gtc``) lies in relevant detections. Of the others, a detection that lies to a
share (``cttc``) in events of another class is a cross trigger besides.

sed_scores_eval, whose numbers these are, holds thresholds × detections × events at once: of an hour of noisy scores,
gigabytes. Here scores are rounded to the levels of kept scores (`score_codec`), and intersections are differences of
how long a class has sounded so far, which grows in step with a recording's length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arwkv_core.score_codec import encode

from .heard import Heard

Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]

SECONDS_PER_HOUR = 3600.0
DECIMALS = 6
"""Of seconds: a share that is met exactly must not be missed through rounding."""

ROWS_AT_ONCE = 65_536
"""Detections whose intersections with all classes are held at once."""


@dataclass(frozen=True)
class Scenario:
    """What counts, and how much errors weigh.

    Parameters
    ----------
    dtc, gtc : float
        Shares of a detection and of a true event, see above.
    cttc : float or None
        Share of a cross trigger; None where they don't count.
    alpha_ct : float
        Weight of cross triggers among the false positives.
    alpha_st : float
        Weight of the standard deviation over the classes.
    most : float
        False positives an hour up to which the curve is looked at.
    """

    dtc: float
    gtc: float
    cttc: float | None
    alpha_ct: float
    alpha_st: float
    most: float = 100.0


PSDS1 = Scenario(dtc=0.7, gtc=0.7, cttc=None, alpha_ct=0.0, alpha_st=1.0)
"""DCASE task 4, first scenario: exact times."""

PSDS2 = Scenario(dtc=0.1, gtc=0.1, cttc=0.3, alpha_ct=0.5, alpha_st=1.0)
"""DCASE task 4, second scenario: classes not to be confused."""


def psds(recordings: Sequence[Heard], classes: int, scenario: Scenario) -> float:
    """Compute the score, from 0 to 1.

    Parameters
    ----------
    recordings : sequence of Heard
        Their scores of all classes, and true events; what was found is not looked at.
    classes : int
    scenario : Scenario
    """
    seconds = sum(heard.seconds for heard in recordings)
    lengths = np.zeros(classes)  # seconds of true events
    for heard in recordings:
        for start, end, column in heard.truth:
            lengths[column] += end - start
    sounding = [_sounded(heard, classes) for heard in recordings]
    curves = [
        _class_curve(recordings, sounding, column, scenario, seconds, lengths) for column in range(classes)
    ]
    rates = np.unique(np.concatenate([rate for rate, _ in curves]))
    found = np.stack([share[np.searchsorted(rate, rates, side="right") - 1] for rate, share in curves])
    effective = np.maximum(found.mean(0) - scenario.alpha_st * found.std(0), 0)
    widths = np.diff(rates, append=scenario.most)
    return float((effective * widths).sum() / scenario.most)


def _sounded(heard: Heard, classes: int) -> Doubles:
    """How long each class has sounded until each step's edge ``(steps + 1, classes)``."""
    total = np.zeros((len(heard.edges), classes))
    for start, end, column in heard.truth:
        total[:, column] += np.clip(heard.edges, start, end) - start
    return total


def _class_curve(
    recordings: Sequence[Heard],
    sounding: list[Doubles],
    column: int,
    scenario: Scenario,
    seconds: float,
    lengths: Doubles,
) -> tuple[Doubles, Doubles]:
    """Effective false positives an hour, ascending from 0, and the largest share of events found up to each."""
    codes = [encode(heard.scores[:, column]) for heard in recordings]
    grid = np.unique(np.concatenate(codes)).astype(np.int64)  # thresholds (L,)
    found, false = np.zeros(len(grid)), np.zeros(len(grid))
    crossed = np.zeros((len(grid), len(lengths)))
    events = 0
    for heard, total, mine in zip(recordings, sounding, codes, strict=True):
        events += sum(span[2] == column for span in heard.truth)
        level, first, last = _detections(mine, grid)
        for begin, end in _whole_levels(level):
            piece = _Detections(*(each[begin:end] for each in (level, first, last)))
            _count(heard, total, column, scenario, piece, _Counts(found, false, crossed))
    rate = false / seconds
    others = np.arange(len(lengths)) != column
    if scenario.alpha_ct and others.any():
        triggers = crossed[:, others] / np.maximum(lengths[others], 1e-12)
        rate = rate + scenario.alpha_ct * triggers.mean(1)
    return _staircase(rate * SECONDS_PER_HOUR, found / max(events, 1), scenario.most)


def _detections(codes: NDArray[np.uint8], grid: Integers) -> tuple[Integers, Integers, Integers]:
    """Runs of steps at or above each threshold: its place in the grid, first step and step after the last."""
    above = np.zeros((len(grid), len(codes) + 2), np.int8)
    above[:, 1:-1] = codes[None] >= grid[:, None]
    change = np.diff(above, axis=1)
    level, first = np.nonzero(change == 1)
    _, last = np.nonzero(change == -1)
    return level, first, last


def _whole_levels(level: Integers) -> list[tuple[int, int]]:
    """Part detections into pieces of about `ROWS_AT_ONCE` that tear no threshold apart."""
    starts = np.flatnonzero(np.diff(level, prepend=-1))
    pieces: list[tuple[int, int]] = []
    for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(level)], strict=True):
        if pieces and end - pieces[-1][0] <= ROWS_AT_ONCE:
            pieces[-1] = (pieces[-1][0], end)
        else:
            pieces.append((start, end))
    return pieces


@dataclass(frozen=True)
class _Detections:
    """Runs above thresholds ``(detections,)``: the threshold's place, first step and step after the last."""

    level: Integers
    first: Integers
    last: Integers


@dataclass(frozen=True)
class _Counts:
    """For each threshold: events found, detections that are not relevant, and those of them in each class's events."""

    found: Doubles
    false: Doubles
    crossed: Doubles


def _count(
    heard: Heard, total: Doubles, column: int, scenario: Scenario, runs: _Detections, counts: _Counts
) -> None:
    """Add what the detections of one class in one recording find, threshold by threshold."""
    level, thresholds = runs.level, len(counts.found)
    on, off = heard.edges[runs.first], heard.edges[runs.last]
    inside = total[runs.last] - total[runs.first]  # (detections, classes): seconds in true events of each
    relevant = np.round(inside[:, column], DECIMALS) >= np.round(scenario.dtc * (off - on), DECIMALS)
    np.add.at(counts.false, level[~relevant], 1)
    present = np.bincount(level, minlength=thresholds) > 0
    for start, end, kind in heard.truth:
        if kind == column:
            overlap = np.maximum(np.minimum(off, end) - np.maximum(on, start), 0) * relevant
            covered = np.round(np.bincount(level, overlap, thresholds), DECIMALS)
            counts.found[present & (covered >= np.round(scenario.gtc * (end - start), DECIMALS))] += 1
    if scenario.cttc is not None:
        least = np.round(scenario.cttc * (off - on), DECIMALS)
        trigger = (np.round(inside, DECIMALS) >= least[:, None]) & ~relevant[:, None]
        np.add.at(counts.crossed, level, trigger)


def _staircase(rate: Doubles, share: Doubles, most: float) -> tuple[Doubles, Doubles]:
    """Best share up to each rate; it begins at 0, since a threshold above all scores finds nothing at no cost."""
    order = np.lexsort((share, rate))
    rate, share = np.append(0.0, rate[order]), np.maximum.accumulate(np.append(0.0, share[order]))
    latest = np.append(np.diff(rate) > 0, True) & (rate <= most)
    return rate[latest], share[latest]
