"""The events of recordings as clips."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from .clip_folder import Clip, ClipFolder
from .clip_name import DEFAULT_TEMPLATE
from .clip_plan import ClipChooser, ClipPlan, ClipSettings
from .results import Timeline

__all__ = ["Clip", "ClipChooser", "ClipFolder", "ClipPlan", "ClipSettings", "extract_events"]


def extract_events(
    timelines: Timeline | Iterable[Timeline],
    *,
    output_dir: str | Path,
    format: str = "wav",
    pad: float = 0.0,
    max_per_class: int | None = None,
    min_score: float | None = None,
    name_template: str = DEFAULT_TEMPLATE,
    include: str | Sequence[str] | None = None,
    exclude: str | Sequence[str] | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
) -> list[Clip]:
    """Cut events out of their recordings, at the rate, with the channels and in the resolution of these.

    A clip begins at sample ``round(start * rate)`` and ends before ``round(end * rate)``. It appears whole. Clips
    of an earlier run are kept, and ``clips.csv`` in the folder lists all of this run's.

    Parameters
    ----------
    timelines : Timeline or iterable of Timeline
        As `arwkv_core.timeline` and `timeline_reader.read_timelines` give them. Their files must be there.
    output_dir : str or Path
        Folder of the clips, made if need be.
    format, pad, max_per_class, min_score, name_template, include, exclude
        See `ClipSettings`.
    overwrite : bool
        Cut again what is there, and replace files that bear a clip's name.
    dry_run : bool
        Tell what would be cut, and write nothing.

    Returns
    -------
    list of Clip

    Raises
    ------
    UsageError
        If an option can't work.
    AudioError, OSError
        If a recording can't be cut. What was cut till then stays, in ``clips.csv.partial`` too.

    Examples
    --------
    >>> clips = extract_events(timeline("dawn.flac"), output_dir="clips", pad=1, include="Dog")
    >>> clips[0].path
    'dawn_00012.480_Dog.wav'
    """
    settings = ClipSettings(format, pad, max_per_class, min_score, name_template, include, exclude)
    given = [timelines] if isinstance(timelines, Timeline) else list(timelines)
    settings.check_classes((event.name, event.mid) for timeline in given for event in timeline.events)
    chooser = ClipChooser(settings)
    clips: list[Clip] = []
    with ClipFolder(Path(output_dir), settings, overwrite=overwrite, dry_run=dry_run) as folder:
        for timeline in given:
            if (plan := chooser.add(timeline)) is not None:
                clips += folder.cut(plan)
        for plan in chooser.finish():
            clips += folder.cut(plan)
    return clips
