"""A folder of clips and the table that ties each of them to its recording.

Every clip says in its own metadata what it is cut from. So a run that was killed is gone on with by what lies
there, and a file that is another clip, or none of ours, is never taken for it or replaced.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from .batch import Progress
from .clip_cutter import Cut, Piece, cut_clips
from .clip_file import PARTIAL_SUFFIX, ClipFile
from .clip_name import NameBook, NameTemplate, clock_text
from .clip_origin import describe_origin, fingerprint, read_origin, same_cut
from .clip_plan import ClipPlan, ClipSettings
from .clip_table import TABLE_NAME, ClipTable
from .decoder import Resolution
from .errors import AudioError, UsageError
from .results import Event
from .start_time import wall_clock

if os.name == "posix":
    import fcntl


@dataclass(frozen=True)
class Clip:
    """A clip and where it comes from.

    Parameters
    ----------
    path : str
        Below the folder of the clips, with ``/`` between folders.
    file : str
        The recording, as the caller named it.
    event : Event
    model : str
        Name of the model that heard it; empty if that is not known.
    start, end : float
        Seconds of the recording at which the clip's samples begin and end: the event with its padding, in whole
        samples.
    event_clock, clip_clock : datetime or None
        What the clock showed when the event, and when the clip began.
    sample_rate, channels, frames : int or None
        Hz, and what the clip holds. None in a dry run.
    gain : float
        See `clip_file.ClipFile`.
    kept : bool
        True for a clip of an earlier run.
    """

    path: str
    file: str
    event: Event
    model: str
    start: float
    end: float
    event_clock: datetime | None
    clip_clock: datetime | None
    sample_rate: int | None = None
    channels: int | None = None
    frames: int | None = None
    gain: float = 1.0
    kept: bool = False


class ClipFolder:
    """Where the clips of a run go. Use it in a ``with`` statement: at its end the table appears.

    Parameters
    ----------
    folder : Path
        Made if need be.
    settings : ClipSettings
    overwrite : bool
        Cut again what is there, and replace files that bear a clip's name.
    dry_run : bool
        Tell what would be cut, and write nothing.

    Attributes
    ----------
    last : list of Clip
        What the last call of `cut` has made, also if it raised.
    warnings : list of str
        About the recording that was cut last.

    Raises
    ------
    UsageError
        If the folder can't be one, holds a table of something else, or another run is at work in it.
    """

    def __init__(
        self, folder: Path, settings: ClipSettings, *, overwrite: bool = False, dry_run: bool = False
    ) -> None:
        self.folder, self.settings = folder, settings
        self.overwrite, self.dry_run = overwrite, dry_run
        self.last: list[Clip] = []
        self.warnings: list[str] = []
        self._template = NameTemplate(settings.name_template)
        self._book = NameBook()
        self._book.take(Path(TABLE_NAME), "")
        self._failed = self._made = False
        self._lock: int | None = None
        self._table: ClipTable | None = None

    def __enter__(self) -> ClipFolder:
        if os.path.lexists(self.folder) and not self.folder.is_dir():
            raise UsageError(f"--output-dir {self.folder}: expected a folder, found a file")
        if self.dry_run:
            return self
        self._made = not self.folder.exists()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(self.folder)
        try:
            folders = "*/" * (self._template.depth - 1)
            for leftover in self.folder.glob(f"{folders}.*{PARTIAL_SUFFIX}"):  # of a run that was killed
                leftover.unlink(missing_ok=True)
            self._table = ClipTable(self.folder)
        except BaseException:
            self._unlock()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        table = self._table
        try:
            if table is None:
                pass
            elif error is None and (table.rows or not self._failed):
                table.commit()
            else:
                with suppress(OSError):  # the disk is full: the first error tells
                    table.break_off()
        finally:
            self._unlock()
            if self._made and error is not None:
                with suppress(OSError):  # there is something in it
                    self.folder.rmdir()

    def cut(self, plan: ClipPlan, *, progress: Progress | None = None) -> list[Clip]:
        """Cut the clips of one recording.

        What can't be cut costs only itself: the other clips are there, and in the table, when this raises.

        Returns
        -------
        list of Clip
            In the order of the plan.

        Raises
        ------
        AudioError
            If the recording can't be decoded, an event lies behind its end, or the format can't hold its sound.
        OSError
            If it can't be read, or a clip can't be written.
        """
        self.last, self.warnings = [], []
        if not plan.events:
            return []
        done: dict[int, Clip] = {}
        try:
            self._cut(plan, done, progress)
        except BaseException:
            self._failed = True
            raise
        finally:
            self.last = [done[number] for number in sorted(done)]
            if self._table is not None:
                for clip in self.last:
                    self._table.add(clip)
        return self.last

    def _cut(self, plan: ClipPlan, done: dict[int, Clip], progress: Progress | None) -> None:
        sample = fingerprint(plan.file)
        pad = self.settings.pad
        wanted: list[tuple[int, str, dict[str, Any], Cut]] = []
        for number, event in enumerate(plan.events):
            cut = Cut(max(0.0, event.start - pad), event.end + pad)
            about = describe_origin(plan.file, sample, event, cut.start, cut.end)
            path, kept = self._choose_name(plan, number, event, cut.start, about)
            if kept is not None:
                done[number] = _clip(plan, event, path, kept, kept=True)
            elif self.dry_run:
                done[number] = _clip(plan, event, path, Piece(cut.start, cut.end, 0, 0, 0))
            else:
                wanted.append((number, path, about, cut))
        if not wanted:
            return

        def open_clip(index: int, rate: int, channels: int, resolution: Resolution, frames: int) -> ClipFile:
            number, path, about, _ = wanted[index]
            place = self.folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            return ClipFile(
                place,
                self.settings.format,
                rate,
                channels,
                resolution,
                frames=frames,
                title=plan.events[number].name,
                about=about,
            )

        beyond: list[Event] = []
        for index, piece in cut_clips(plan.file, [cut for *_, cut in wanted], open_clip, progress=progress):
            number, path, *_ = wanted[index]
            event = plan.events[number]
            if piece is None:
                beyond.append(event)
                continue
            done[number] = _clip(plan, event, path, piece)
            if piece.changed:
                self.warnings.append(
                    f"{plan.file}: its sample rate or channels change at {piece.end:.3f} s; {path} ends there"
                )
        if beyond:
            many = "1 event lies" if len(beyond) == 1 else f"{len(beyond)} events lie"
            raise AudioError(
                f"{plan.file}: {many} behind its end, the first at {min(e.start for e in beyond):.3f} s: "
                "are they events of another recording?"
            )

    def _choose_name(
        self, plan: ClipPlan, number: int, event: Event, start: float, about: dict[str, Any]
    ) -> tuple[str, Piece | None]:
        """Return the name, and what is already there if it is this clip."""
        source = Path(plan.file)
        clock = None if plan.start_time is None else wall_clock(plan.start_time, start)
        name = self._template.format(
            {
                "stem": source.stem,
                "name": source.name,
                "folder": Path(os.path.abspath(source)).parent.name,  # noqa: PTH100 (links stay as they are)
                "class": event.name,
                "mid": event.mid,
                "start": event.start,
                "end": event.end,
                "index": number + 1,
                "score": event.max,
                "mean": event.mean,
                "clock": clock_text(clock),
            }
        )
        while True:
            path = self._book.take(name, f".{self.settings.format}")
            place = self.folder / path
            if not os.path.lexists(place) or (self.overwrite and not place.is_dir()):
                return path, None
            found = None if place.is_dir() else read_origin(place)
            if found is None or not same_cut(found, about):
                continue  # another clip, or not ours
            return path, _piece_of(about, found) if found.get("sample") == about["sample"] else None

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)  # which gives up the lock
            self._lock = None


def _piece_of(about: dict[str, Any], found: dict[str, Any]) -> Piece:
    rate, frames = found["rate"], found["frames"]
    start = round(about["start"] * rate) / rate
    gain = found.get("gain", 1.0)
    return Piece(start, start + frames / rate, rate, found["channels"], frames, float(gain))


def _clip(plan: ClipPlan, event: Event, path: str, piece: Piece, *, kept: bool = False) -> Clip:
    began = plan.start_time
    return Clip(
        path=path,
        file=plan.file,
        event=event,
        model=plan.model,
        start=piece.start,
        end=piece.end,
        event_clock=None if began is None else wall_clock(began, event.start),
        clip_clock=None if began is None else wall_clock(began, piece.start),
        sample_rate=piece.sample_rate or None,
        channels=piece.channels or None,
        frames=piece.frames or None,
        gain=piece.gain,
        kept=kept,
    )


def _lock(folder: Path) -> int | None:
    """Keep other runs away until this process ends, however it ends."""
    if os.name != "posix":
        return None
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise UsageError(
            f"--output-dir {folder}: another run is at work in it; wait, or take another"
        ) from None
    except OSError:  # a file system without locks
        pass
    return descriptor
