"""Scores of recordings, kept: made once, gone on with after a kill, and made anew where anything has changed."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .constants import STEP_SECONDS
from .context import Context
from .errors import AudioError, ScoreFileError
from .labels import LabelSet
from .recording import Progress, Scorer, ScoreSource, ScoreStream
from .results import Coverage
from .score_codec import Codes, decode, encode
from .score_file import ScoreFileWriter, StoredScores, labels_to_meta
from .score_journal import ScoreJournal, journal_path
from .source_identity import SourceIdentity, identify
from .start_time import find_start_time

JOURNAL_STEPS = 100
"""Steps (16 s) that are worth writing down: with the windows at work (40 s), a kill costs less than a minute."""


def scored(
    scorer: Scorer,
    file: str,
    *,
    kept: Path | None = None,
    channel: int | None = None,
    hop: float | None = None,
    context: Context = None,
    progress: Progress | None = None,
) -> ScoreSource:
    """The scores of a recording: from the model, or, where they are kept and nothing has changed, from there.

    Parameters
    ----------
    scorer : Scorer
    file : str
        A sound file, or ``"-"`` for stdin, which is never taken for the same again.
    kept : Path, optional
        Where its scores are kept (``NAME.scores.parquet``). By default they aren't.
    channel, hop, context, progress
        See `ScoreStream`.

    Returns
    -------
    ScoreSource
        A `ScoreStream`, `StoredScores`, or the two in one: `GrowingScores`.

    Raises
    ------
    UsageError
        If ``hop`` or ``context`` is out of range.
    OSError
        If the recording can't be read.
    """
    stream = ScoreStream(scorer, file, channel=channel, hop=hop, context=context, progress=progress)
    if kept is None:
        return stream
    wanted = _description(stream)
    stored = _fresh(kept, file, wanted)
    return GrowingScores(stream, kept, wanted) if stored is None else stored


class GrowingScores:
    """The scores of a recording as the model gives them, kept as they come.

    A process that is killed leaves a journal, from which the next one goes on. When all is done, a file appears
    in its stead.

    Parameters
    ----------
    stream : ScoreStream
        Not begun.
    kept : Path
    wanted : dict
        How the scores come about, as the file will say.
    """

    coverage: Coverage

    def __init__(self, stream: ScoreStream, kept: Path, wanted: dict[str, Any]) -> None:
        self.stream, self.kept, self._wanted = stream, kept, wanted
        self.warnings: list[str] = []
        self._journal: ScoreJournal | None = None
        self._waiting: list[Codes] = []  # not in the journal

    @property
    def file(self) -> str:
        """The recording, as the caller named it."""
        return self.stream.file

    @property
    def model_name(self) -> str:
        """Name of the model."""
        return self.stream.model_name

    @property
    def labels(self) -> LabelSet:
        """Classes, in the order of the scores."""
        return self.stream.labels

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        """Yield ``(steps, classes)`` float32 as the kept file will give them, each step once, in order.

        Raises
        ------
        AudioError
            See `ScoreStream`; also if the recording changes meanwhile.
        ScoreFileError
            If another process is at work on the same scores.
        """
        source = None if self.file == "-" else identify(self.file)
        identity = {**self._wanted, "source": source and dataclasses.asdict(source)}
        path = journal_path(self.kept)
        try:
            if source is not None and path.exists():
                self._journal = self._open(path, identity)
                for codes in self._journal.codes():
                    yield decode(codes)
                self.stream.first_step = self._journal.steps
            for scores in self.stream:
                codes = encode(scores)
                self._waiting.append(codes)
                if source is not None and sum(map(len, self._waiting)) >= JOURNAL_STEPS:
                    if self._journal is None:
                        self._journal = self._open(path, identity)
                        self._journal.clear()  # a run that began meanwhile, and was killed, has left its steps
                    self._journal.append(np.concatenate(self._waiting))
                    self._waiting = []
                yield decode(codes)
            self._check_unchanged(source)
            self.coverage, self.warnings = self.stream.coverage, self.stream.warnings
            self._finish(identity)
        finally:
            if self._journal is not None:
                self._journal.close()

    def _open(self, path: Path, identity: dict[str, Any]) -> ScoreJournal:
        source = {**identity["source"], "ctime_ns": 0}  # new rights don't undo what was heard
        return ScoreJournal(path, {**identity, "source": source}, len(self.labels))

    def _check_unchanged(self, source: SourceIdentity | None) -> None:
        if source is None:
            return
        status = os.stat(self.file)  # noqa: PTH116 - paths stay text, as the user wrote them
        if (status.st_size, status.st_mtime_ns) != (source.size, source.mtime_ns):
            if self._journal is not None:
                self._journal.remove()
            raise AudioError(f"{self.file}: was changed while it was read; run again when it is complete")

    def _finish(self, identity: dict[str, Any]) -> None:
        """Turn the journal into the file."""
        writer = ScoreFileWriter(self.kept, len(self.labels))
        try:
            for codes in self._journal.codes() if self._journal else ():
                writer.add(codes)
            for codes in self._waiting:
                writer.add(codes)
            start = find_start_time(self.file)
            writer.commit(
                {
                    "file": self.file,
                    **identity,
                    "calibrated": _calibrated(self.stream.scorer),
                    "start_time": start and {"time": start.time.isoformat(), "source": start.source},
                    "coverage": dataclasses.asdict(self.coverage),
                    "warnings": self.warnings,
                }
            )
        finally:
            writer.discard()
        self._waiting = []
        if self._journal is not None:
            self._journal.remove()


def _calibrated(scorer: Scorer) -> bool:
    """Whether the model is calibrated. That is not applied to what is kept, but readers shall not miss it."""
    defaults = getattr(scorer, "defaults", None)  # whoever else gives scores has none
    return defaults is not None and defaults.calibration is not None


def _description(stream: ScoreStream) -> dict[str, Any]:
    """All that decides what the scores of a recording are, as JSON has it."""
    provenance = stream.scorer.provenance
    return {
        **provenance,
        "front_end": {**provenance["front_end"], "channel": stream.channel},
        "windows": {
            "frames": stream.window_frames,  # None: the whole recording is one
            "hop_frames": stream.hop_frames,
            "step_seconds": STEP_SECONDS,
        },
        **labels_to_meta(stream.labels),
    }


def _fresh(kept: Path, file: str, wanted: dict[str, Any]) -> StoredScores | None:
    """The kept scores, if they are what would be made now."""
    if file == "-" or not kept.exists():
        return None
    with suppress(ScoreFileError, TypeError):  # what can't be read is made anew
        stored = StoredScores(kept)
        same = all(stored.meta.get(key) == value for key, value in wanted.items())
        if same and SourceIdentity(**stored.meta["source"]).still(file):
            return stored
    return None
