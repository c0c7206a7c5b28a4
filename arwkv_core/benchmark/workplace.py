"""What the parts of a benchmark share: a folder with models and recordings, made when they are first needed."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from types import TracebackType

from arwkv_core.constants import DEFAULT_MODEL
from arwkv_core.errors import ArwkvError

from .correctness import WrongOutput
from .process import Finished, arwkv, run
from .recordings import write_mp3
from .settings import Settings
from .shapes import save_random_model

LENGTH_TOLERANCE = 0.1
"""Seconds by which the decoded length may differ: the decoder's delay and a packet."""

OWN_WINDOW = 9.92
"""Seconds between windows that do not overlap."""


class Workplace:
    """A temporary folder for the time of a benchmark; a context manager.

    Parameters
    ----------
    settings : Settings
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._folder = tempfile.TemporaryDirectory(prefix="arwkv-bench-")
        self._runs: dict[str, list[Finished]] = {}

    def __enter__(self) -> Workplace:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._folder.cleanup()

    def random_model(self, shape: str) -> Path:
        """Folder of a model of this shape with random weights."""
        folder = Path(self._folder.name, f"random-{shape.lower()}")
        if not folder.exists():
            save_random_model(shape, folder)
        return folder

    def recording(self, seconds: float) -> Path:
        """A 44.1 kHz stereo mp3 of this length."""
        path = Path(self._folder.name, f"{seconds:g}-seconds.mp3")
        if not path.exists():
            write_mp3(path, seconds)
        return path

    def tagged(self, shape: str) -> list[Finished]:
        """Processes of ``arwkv tag`` on the long recording, one a repeat; run once for all who ask.

        The T shape is the bundled model as anyone would call it; S and B have random weights and windows that do not
        overlap.
        """
        if shape not in self._runs:
            seconds = 60 * self.settings.minutes
            options = [] if shape == "T" else ["--hop", str(OWN_WINDOW)]
            model = DEFAULT_MODEL if shape == "T" else str(self.random_model(shape))
            self._runs[shape] = self.tag(seconds, "--model", model, *options, warm=False)
        return self._runs[shape]

    def tag(self, seconds: float, *options: str, warm: bool = True) -> list[Finished]:
        """Run ``arwkv tag`` on a recording as often as the settings say, after one run that is not counted.

        Raises
        ------
        WrongOutput
            If a run did not hear the whole recording, or gave something else than scores.
        ArwkvError
            If a process fails.
        """
        path = self.recording(seconds)
        command = arwkv("tag", str(path), "--format", "json", "--quiet", *options)
        threads = self.settings.threads
        if warm:
            run(command, threads)
        runs = [run(command, threads) for _ in range(self.settings.repeats)]
        for done in runs:
            _check(done.output, seconds)
        return runs


def _check(output: str, seconds: float) -> None:
    try:
        (result,) = json.loads(output)
        heard, decoded = (result["coverage"][f"{kind}_seconds"] for kind in ("analysed", "decoded"))
        means = [tag["mean"] for tag in result["tags"]]
    except (KeyError, TypeError, ValueError) as error:
        raise ArwkvError(f"arwkv tag: expected a result as JSON, found {output[:200]!r}") from error
    if not (abs(decoded - seconds) <= LENGTH_TOLERANCE and decoded - heard <= LENGTH_TOLERANCE):
        raise WrongOutput(
            f"arwkv tag: expected {seconds:g} s to be heard, found {heard:.2f} of {decoded:.2f} s"
        )
    if not means or not all(0 <= mean <= 1 for mean in means):
        raise WrongOutput(f"arwkv tag: expected scores from 0 to 1, found {means}")
