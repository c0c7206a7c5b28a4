"""Wall times of things that are run again and again, side by side."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

Action = Callable[[], object]


def seconds_of(action: Action, repeats: int) -> list[float]:
    """Wall time of each run, after one that is not counted."""
    return side_by_side({"": action}, repeats)[""]


def side_by_side(actions: Mapping[str, Action], repeats: int, *, warm: bool = True) -> dict[str, list[float]]:
    """Run several things in turn, so that what disturbs the machine disturbs all alike.

    Parameters
    ----------
    actions : mapping of str to callable
    repeats : int
        Rounds; each runs every action once.
    warm : bool
        Run every action once before, without counting it.

    Returns
    -------
    dict of str to list of float
        Seconds of each round.
    """
    if warm:
        for action in actions.values():
            action()
    seconds: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(repeats):
        for name, action in actions.items():
            start = time.perf_counter()
            action()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def repeated(action: Action, times: int) -> Action:
    """Something done several times in a row, so that a round of it lasts as long as one of what it stands beside."""

    def run() -> None:
        for _ in range(times):
            action()

    return run


def ratios(above: list[float], below: list[float]) -> list[float]:
    """How many times as long the one took as the other, round by round."""
    return [a / b for a, b in zip(above, below, strict=True)]
