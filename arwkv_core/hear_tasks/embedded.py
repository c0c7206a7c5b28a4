"""What a model hears in the sounds of a task: the embeddings that the common API of HEAR gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

from arwkv_core.errors import ArwkvError
from arwkv_core.evaluation.heard import Findings
from arwkv_core.evaluation.segments import SLACK_SECONDS, Span
from arwkv_core.labelled.problems import Problems
from arwkv_core.probing.regression import Examples

from .post_processing import step_middles
from .task import HearTask, TaskClip

if TYPE_CHECKING:
    from arwkv_core.tagger import Tagger


@dataclass(frozen=True)
class EmbeddedClip:
    """A sound as the model hears it.

    Attributes
    ----------
    clip : TaskClip
    rows : ndarray of float32, shape (n, width)
        One for the whole sound, the mean of its steps; or one for each step, where the task is about events.
    targets : ndarray of bool, shape (n, classes)
        What each of them should be taken for. A class sounds in a step if one of its events lasts at its middle.
    seconds : float
    """

    clip: TaskClip
    rows: NDArray[np.float32]
    targets: NDArray[np.bool_]
    seconds: float

    def findings(self, found: list[Span]) -> Findings:
        """Hold what was found against what is true, which may go on after the sound has ended."""
        end = max([self.seconds, *(end for _, end, _ in self.clip.events)])
        return Findings(end, list(self.clip.events), found)


def embed_task(task: HearTask, tagger: Tagger, *, progress: bool) -> dict[str, list[EmbeddedClip]]:
    """Embed all sounds of a task, split by split.

    Raises
    ------
    DatasetError
        If sounds can't be decoded; it lists them all.
    """
    problems = Problems(str(task.folder))
    count = sum(len(clips) for clips in task.splits.values())
    embedded: dict[str, list[EmbeddedClip]] = {}
    with tqdm(total=count, desc=task.name, unit="sound", disable=not progress) as bar:
        for split, clips in task.splits.items():
            embedded[split] = []
            for clip in clips:
                try:
                    embedded[split].append(_embed(task, clip, tagger))
                except ArwkvError as error:
                    problems.note(str(error))
                bar.update()
    problems.raise_any()
    return embedded


def _embed(task: HearTask, clip: TaskClip, tagger: Tagger) -> EmbeddedClip:
    heard = tagger.embeddings(clip.file, level="step" if task.timed else "recording")
    targets = np.zeros((len(heard.vectors), len(task.labels)), bool)
    if task.timed:
        middles = step_middles(len(targets))
        for start, end, column in clip.events:
            targets[(middles >= start - SLACK_SECONDS) & (middles <= end + SLACK_SECONDS), column] = True
    else:
        targets[:, list(clip.labels)] = True
    return EmbeddedClip(clip, heard.vectors, targets, heard.coverage.decoded_seconds)


def examples_of(clips: list[EmbeddedClip]) -> Examples:
    """All rows of sounds as examples that count the same."""
    parts = [Examples(each.rows, each.targets, np.ones(len(each.rows))) for each in clips]
    return Examples.joined(parts)
