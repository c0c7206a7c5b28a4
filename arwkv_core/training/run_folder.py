"""What a training run leaves on disk: a log, and a checkpoint from which it goes on as if never stopped."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch

from arwkv_core.errors import ArwkvError

try:
    import fcntl
except ImportError:  # Windows, where two runs in one folder stay the user's to avoid
    fcntl = None  # type: ignore[assignment]

CHECKPOINT = "checkpoint.pt"
LOG = "log.jsonl"
LOCK = "lock"


class RunFolder:
    """Files of one run.

    Parameters
    ----------
    folder : str or Path
        Made if missing.
    fingerprint : str
        Of all that affects the result. A folder with another fingerprint is refused.
    overwrite : bool
        Start anew where the folder holds a run.

    Raises
    ------
    ArwkvError
        If the folder's checkpoint belongs to another recipe or corpus, or another process trains there.
    """

    def __init__(self, folder: str | Path, fingerprint: str, *, overwrite: bool = False) -> None:
        self.path = Path(folder)
        self.fingerprint = fingerprint
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = (self.path / LOCK).open("w")  # held until the process ends, however it ends
        if fcntl is not None:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise ArwkvError(
                    f"{self.path}: another process trains there; wait for it, or take another --output "
                    "(--run of `arwkv finetune`)"
                ) from error
        if overwrite:
            for name in (CHECKPOINT, LOG):
                (self.path / name).unlink(missing_ok=True)
        try:
            self.state = self._load()
        except ArwkvError:
            self.close()
            raise

    def close(self) -> None:
        """Let other processes train in the folder."""
        self._lock.close()

    def _load(self) -> dict[str, Any] | None:
        path = self.path / CHECKPOINT
        if not path.exists():
            (self.path / LOG).unlink(missing_ok=True)  # of a run that never reached a checkpoint
            return None
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
            found = state["fingerprint"]
        except Exception as error:  # torch has many ways to say that a file is damaged
            raise ArwkvError(f"{path}: not a checkpoint of a run; --overwrite starts anew") from error
        if found != self.fingerprint:
            raise ArwkvError(
                f"{path}: belongs to another recipe or corpus: name another folder with --output (--run of `arwkv "
                "finetune`), or start anew with --overwrite"
            )
        self._cut_log(state["step"])
        return state

    def save(self, state: dict[str, Any]) -> None:
        """Replace the checkpoint; a kill at any moment leaves the old one or the new one.

        Raises
        ------
        ArwkvError
            If it can't be written, as on a full disk: the old one stays.
        """
        path = self.path / CHECKPOINT
        partial = path.with_suffix(".part")
        try:
            with partial.open("wb") as file:
                torch.save({**state, "fingerprint": self.fingerprint}, file)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except (OSError, RuntimeError) as error:  # torch raises the latter over the former
            partial.unlink(missing_ok=True)
            cause = error if isinstance(error, OSError) else error.__context__
            if not isinstance(cause, OSError):
                raise
            raise ArwkvError(
                f"{path}: can't be written: {cause.strerror}; started again with room for it, the run goes on from "
                "the checkpoint before"
            ) from error

    def log(self, entry: dict[str, Any]) -> None:
        """Append a line to the log."""
        with (self.path / LOG).open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def _cut_log(self, step: int) -> None:
        """Drop what was logged after the checkpoint: those steps are about to run again."""
        path = self.path / LOG
        if not path.exists():
            return
        kept = []
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                entry = json.loads(line)
            except ValueError:  # the line that a kill cut short
                continue
            if entry["step"] <= step:
                kept.append(line + "\n")
        partial = path.with_suffix(".part")
        partial.write_text("".join(kept), encoding="utf-8")
        partial.replace(path)
