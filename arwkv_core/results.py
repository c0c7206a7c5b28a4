"""What is said of a recording: plain data, readable without torch or numpy."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

SCHEMA_VERSION = 1
"""Version of the fields below as the writers put them into files; it rises when a field changes or goes."""


@dataclass(frozen=True)
class Coverage:
    """Proof of how much of a recording was heard.

    Parameters
    ----------
    header_seconds : float or None
        Duration that the file's header states; None where it states none. Headers lie, above all those of
        mp3.
    decoded_seconds : float
        Duration of the sound that was decoded: the recording's duration everywhere else.
    filled_seconds : float
        How much of it is silence that stands for sound that was lost in the file.
    analysed_seconds : float
        From the start to the end of the last log-mel frame that the model heard: a frame is 25 ms long and
        begins every 10 ms, so up to 10 ms at the end are in none.
    steps : int
        Steps of 160 ms that have scores; the last ends with the recording.
    invalid_samples : int
        Decoded samples that were not finite (NaN, inf) and were taken as silence.
    """

    header_seconds: float | None
    decoded_seconds: float
    filled_seconds: float
    analysed_seconds: float
    steps: int
    invalid_samples: int


@dataclass(frozen=True)
class Tag:
    """One class and how present it is in a recording.

    Parameters
    ----------
    name, mid : str
        The class's display name and its AudioSet id.
    mean, max : float
        Score over the recording's steps, 0 to 1; the mean weighs each step with its length.
    active_seconds : float
        Seconds of the steps whose score reaches the active threshold; at most the recording's duration.
    """

    name: str
    mid: str
    mean: float
    max: float
    active_seconds: float


@dataclass(frozen=True)
class TagResult:
    """The tags of one recording.

    Parameters
    ----------
    file : str
        As the caller named it.
    model : str
        Name of the model.
    pool : str
        What ranks the tags: ``mean``, ``max`` or ``active``.
    active_threshold : float
        Score from which a step counts as active.
    coverage : Coverage
    tags : list of Tag
        Highest first.
    warnings : list of str
        What the decoder or the front end found odd.
    calibration : str or None
        Digest of the calibration that made probabilities of the scores; None where they are scores.
    """

    file: str
    model: str
    pool: str
    active_threshold: float
    coverage: Coverage
    tags: list[Tag]
    warnings: list[str] = field(default_factory=list)
    calibration: str | None = None

    @property
    def names(self) -> list[str]:
        """Display names, highest first."""
        return [tag.name for tag in self.tags]

    @property
    def mids(self) -> list[str]:
        """AudioSet ids, highest first."""
        return [tag.mid for tag in self.tags]

    @property
    def scores(self) -> list[float]:
        """What the tags are ranked by: mean or maximum score, or active seconds."""
        return [ranking_score(tag, self.pool) for tag in self.tags]


@dataclass(frozen=True)
class Event:
    """A stretch of a recording in which one class sounds.

    Parameters
    ----------
    start, end : float
        Seconds from the recording's beginning; ``0 <= start < end <= coverage.decoded_seconds``.
    name, mid : str
        The class's display name and its AudioSet id; of a group, its name and ``group:NAME``.
    mean, max : float
        Score over the event's steps, 0 to 1; the mean weighs each step with its length.
    """

    start: float
    end: float
    name: str
    mid: str
    mean: float
    max: float


@dataclass(frozen=True)
class StartTime:
    """When a recording began.

    Parameters
    ----------
    time : datetime
        With a time zone where it is known, without (local time of the recorder) where it isn't.
    source : str
        Where that stands: ``option``, ``guano``, ``wamd`` (Song Meter), ``bext``, ``audiomoth`` or ``name``; ``events``
        where it was read from a file of timelines.
    """

    time: datetime
    source: str


@dataclass(frozen=True)
class Timeline:
    """The events of one recording.

    Parameters
    ----------
    file : str
        As the caller named it.
    model : str
        Name of the model.
    coverage : Coverage
    events : list of Event
        In the order of their starts, then of their names.
    settings : dict
        What made events of scores, by option name; plain values, as JSON has them.
    start_time : StartTime or None
        None where nothing tells.
    warnings : list of str
        What the decoder or the front end found odd.
    calibration : str or None
        Digest of the calibration that made probabilities of the scores; None where they are scores.
    """

    file: str
    model: str
    coverage: Coverage
    events: list[Event]
    settings: dict[str, Any] = field(default_factory=dict)
    start_time: StartTime | None = None
    warnings: list[str] = field(default_factory=list)
    calibration: str | None = None


@dataclass(frozen=True)
class Failure:
    """A recording that could not be done.

    Parameters
    ----------
    file : str
        As the caller named it, or as it was found in a folder.
    reason : str
        What was wrong, in one line.
    """

    file: str
    reason: str


def ranking_score(tag: Tag, pool: str) -> float:
    """Return the number of ``tag`` that ``pool`` ("mean", "max" or "active") ranks by."""
    return {"mean": tag.mean, "max": tag.max, "active": tag.active_seconds}[pool]
