"""The work of ``arwkv extract`` on one recording of many, up to its events: cutting is done in one place."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .batch import Progress
from .errors import ArwkvError
from .results import Timeline
from .source_identity import SourceIdentity
from .timeline_task import TimelineTask


@dataclass(frozen=True)
class ExtractTask:
    """Finds the events of recordings, and the recordings of kept scores.

    Parameters
    ----------
    timelines : TimelineTask
    """

    timelines: TimelineTask

    def open(self) -> Callable[[str, Progress], Timeline]:
        """Load the model, and check the options against it."""
        find_events = self.timelines.open()
        kept = self.timelines.kept

        def work(file: str, progress: Progress) -> Timeline:
            if kept is None or not kept.read_only:
                return find_events(file, progress)
            scores = kept.stored(file)
            recording = _recording_of(file, scores.file, scores.meta, named=kept.tree is not None)
            return dataclasses.replace(find_events(file, progress), file=recording)

        return work


def _recording_of(file: str, name: str, meta: dict[str, Any], *, named: bool) -> str:
    """Find the recording that kept scores are of, unchanged.

    Parameters
    ----------
    file : str
        The recording if it is ``named`` by the user, else the file of its scores.
    name : str
        The recording as it was named when it was heard.
    meta : dict
        Of the scores.
    """
    source = meta.get("source")
    if source is None:
        raise ArwkvError(f"{file}: was heard from stdin, so there is nothing to cut")
    known = SourceIdentity(**source)
    candidates = [file] if named else [name, known.path]
    for recording in candidates:
        if os.path.isfile(recording):  # noqa: PTH113 (paths stay text)
            if known.still(recording):
                return recording
            raise ArwkvError(
                f"{recording}: has changed since it was heard; `--scores` hears it again, --from doesn't"
            )
    raise ArwkvError(
        f"{file}: its recording is gone: expected {' or '.join(dict.fromkeys(candidates))}; name it where it is now: "
        "arwkv extract --from DIR FILE"
    )
