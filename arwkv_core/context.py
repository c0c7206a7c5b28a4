"""How much of a recording a model hears at once: its own window, another, or all of it."""

from .constants import FRAMES_PER_STEP, HOP_SECONDS, STEP_SECONDS
from .errors import UsageError

FULL = "full"

Context = float | str | None
"""Seconds, as a number or as text; ``"full"``: the whole recording; None: the model's own window."""

LONGEST_SECONDS = 1e6
"""Eleven days: more is a slip of the pen."""


def context_in_frames(context: Context, window: int, *, any_length: bool, model: str) -> int | None:
    """Turn a context into the length of a window.

    Parameters
    ----------
    context : float, str or None
        See `Context`. Seconds are rounded to whole steps of 160 ms; they may be fewer than the model's window.
    window : int
        The model's own window in frames (10 ms).
    any_length : bool
        Whether the model takes windows of any length.
    model : str
        Its name, for messages.

    Returns
    -------
    int or None
        Frames, a multiple of 16; None for the whole recording.

    Raises
    ------
    UsageError
        If the context is no length, or the model takes its own window only.
    """
    if context is None:
        return window
    seconds = None if context == FULL else _seconds(context)
    if not any_length:
        raise UsageError(
            f"--context: expected none, found {context}: {model} has learned a table of positions in time, which "
            f'fixes its window at {window * HOP_SECONDS:g} seconds; a model with position = "frequency" takes any '
            "(another model: --model)"
        )
    return None if seconds is None else round(seconds / STEP_SECONDS) * FRAMES_PER_STEP


def _seconds(context: float | str) -> float:
    try:
        seconds = float(context)
    except ValueError:
        seconds = float("nan")
    if not STEP_SECONDS - 1e-9 <= seconds <= LONGEST_SECONDS:  # NaN fails too
        raise UsageError(
            f"--context: expected {STEP_SECONDS:g} to {LONGEST_SECONDS:.0f} seconds, or {FULL} for the whole "
            f"recording, found {context}"
        )
    return seconds


def hop_in_frames(hop: float | None, window: int | None, own: int | None = None) -> int | None:
    """Turn the distance between windows into frames.

    Parameters
    ----------
    hop : float or None
        Seconds, rounded to whole steps of 160 ms; None takes the model's own, or half a window.
    window : int or None
        Length of a window in frames, a multiple of 16; None for a window that is the whole recording.
    own : int, optional
        Frames that the model prefers for windows of this length.

    Returns
    -------
    int or None
        None where there is one window only.

    Raises
    ------
    UsageError
        If ``hop`` is below a step or above a window, which would leave gaps, or there are no windows.
    """
    if window is None:
        if hop is not None:
            raise UsageError(
                f"--hop: expected none with --context {FULL}, which is one window, found {hop:g}"
            )
        return None
    longest = window * HOP_SECONDS
    if hop is None:
        return own or max(1, round(window / 2 / FRAMES_PER_STEP)) * FRAMES_PER_STEP
    if not STEP_SECONDS - 1e-9 <= hop <= longest + 1e-9:  # NaN fails too
        raise UsageError(f"--hop: expected {STEP_SECONDS:g} to {longest:g} seconds (a window), found {hop:g}")
    return round(hop / STEP_SECONDS) * FRAMES_PER_STEP


def says_out_of_memory(error: BaseException) -> bool:
    """Whether numpy (MemoryError) or torch (RuntimeErrors with a text) could not allocate."""
    return isinstance(error, MemoryError) or any(
        text in str(error) for text in ("can't allocate memory", "not enough memory", "out of memory")
    )
