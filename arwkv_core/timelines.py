"""What happens when in a recording."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from .constants import DEFAULT_MODEL
from .context import Context
from .event_defaults import EventDefaults
from .event_plan import EventPlan
from .event_settings import EventSettings
from .results import StartTime, Timeline
from .start_time import find_start_time

if TYPE_CHECKING:  # kept scores are read without torch, which these modules need
    from .groups import Groups
    from .recording import ScoreSource, Source
    from .tagger import Tagger


def timeline(
    path: Source,
    *,
    model: str | Path | Tagger = DEFAULT_MODEL,
    device: str = "auto",
    precision: str = "auto",
    channel: int | None = None,
    hop: float | None = None,
    context: Context = None,
    on: float | None = None,
    off: float | None = None,
    median: float | None = None,
    min_duration: float | None = None,
    merge_gap: float | None = None,
    include: str | Sequence[str] | None = None,
    exclude: str | Sequence[str] | None = None,
    roll_up: bool = True,
    groups: Groups | str | Path | None = None,
    start: str | datetime | None = None,
    raw_scores: bool = False,
) -> Timeline:
    """Tell what happens when in a recording, in memory that does not grow with its length.

    The options are those of ``arwkv timeline``. For many recordings, load the model once:
    ``tagger = load()``, then ``tagger.timeline(path)``.

    Parameters
    ----------
    path : str, Path or BinaryIO
        A sound file of any length, ``"-"`` for stdin, or an open binary file.
    model : str, Path or Tagger
        See `arwkv_core.load`; a loaded tagger is used as it is.
    device, precision : str
        See `arwkv_core.load`; not used with a loaded tagger.
    channel : int, optional
        The channel to hear; the mean of all by default.
    hop : float, optional
        Seconds between the starts of windows, rounded to 0.16 s; half a window by default, or what the model's config
        says of its own window.
    context : float or "full", optional
        Seconds that the model hears at once, or the whole recording; the model's own window by default.
    on, off, median, min_duration, merge_gap, include, exclude, roll_up, groups, raw_scores
        See `event_settings.EventSettings`.
    start : str or datetime, optional
        When the recording began; by default its metadata and its name are asked, see `start_time.find_start_time`.

    Returns
    -------
    Timeline

    Raises
    ------
    AudioError
        If the recording can't be decoded or is shorter than 25 ms.
    UsageError
        If an option is out of range or names a class that the model does not have.

    Examples
    --------
    >>> for event in timeline("recording.wav", min_duration=1).events:
    ...     print(f"{event.start:7.2f} {event.end:7.2f}  {event.name}")
       0.48   12.80  Speech
      13.12   60.00  Music
    """
    from .tagger import Tagger, load

    settings = EventSettings(
        on, off, median, min_duration, merge_gap, include, exclude, roll_up, groups, raw_scores
    )
    began = find_start_time(path, option=start)
    tagger = model if isinstance(model, Tagger) else load(model, device, precision)
    return timeline_of(
        tagger.stream(path, channel=channel, hop=hop, context=context), settings, start_time=began
    )


def timeline_of(
    scores: ScoreSource,
    settings: EventSettings | None = None,
    *,
    start_time: StartTime | None = None,
    defaults: EventDefaults | None = None,
) -> Timeline:
    """Turn the step scores of a recording into events, in memory that grows with their number alone.

    Scores are rounded as those that are kept: whether they come from the model or from a file, the events are the
    same.

    Parameters
    ----------
    scores : ScoreSource
        From the model, or kept.
    settings : EventSettings, optional
    start_time : StartTime, optional
        When the recording began.
    defaults : EventDefaults, optional
        What holds for a class where the settings don't say. By default what the folder of the scores' model says.

    Returns
    -------
    Timeline

    Raises
    ------
    UsageError
        If a class is unknown: before any work is done.
    ConfigError
        If ``events.csv`` or ``calibration.csv`` in the model's folder is damaged.
    """
    settings = settings or EventSettings()
    defaults = defaults or EventDefaults.of_source(scores, raw_scores=settings.raw_scores)
    plan = EventPlan.of(settings, scores.labels, defaults)
    search = plan.search()
    # kept scores are known by their codes: to ask for their class would import what reads them
    if (codes := getattr(scores, "codes", None)) is not None:
        for block in codes():
            search.add_codes(block)
    else:
        for block in scores:
            search.add(block)
    coverage = scores.coverage
    return Timeline(
        file=scores.file,
        model=scores.model_name,
        coverage=coverage,
        events=search.finish(coverage.decoded_seconds),
        settings=settings.to_dict(),
        start_time=start_time,
        warnings=scores.warnings,
        calibration=plan.calibration,
    )
