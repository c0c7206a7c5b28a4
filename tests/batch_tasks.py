"""What tests let a batch do: tasks that processes of their own can import."""

import errno
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from arwkv_core.batch import Progress
from arwkv_core.errors import AudioError, ModelNotFound, UsageError


@dataclass
class Lengths:
    """Gives the length of each name; a name that begins with what may go wrong makes it go wrong."""

    log: Path | None = None

    def open(self) -> Callable[[str, Progress], tuple[str, int]]:
        if self.log is not None:
            with self.log.open("a") as log:
                log.write(f"{os.getpid()}\n")
        return self.work

    def work(self, file: str, progress: Progress) -> tuple[str, int]:
        kind = file.split("-")[0]
        if kind == "slow":
            for step in range(1, 31):
                time.sleep(0.01)
                progress(step * 0.1, 3.0)
        elif kind == "bad":
            raise AudioError(f"{file}: can't be read as audio:\n  not a sound")
        elif kind == "gone":
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", file)
        elif kind == "locked":
            raise OSError("something")
        elif kind == "huge":
            raise MemoryError
        elif kind == "full":
            raise OSError(errno.ENOSPC, "No space left on device", "out.csv")
        elif kind == "usage":
            raise UsageError("--hop")
        elif kind == "bug":
            raise ZeroDivisionError("a bug")
        elif kind == "segfault":
            os.kill(os.getpid(), signal.SIGKILL)
        elif kind == "leaves":
            os._exit(7)
        elif kind == "endless":
            time.sleep(600)
        print("noise on stdout")
        return file, len(file)


class NoModel:
    """Can't be opened."""

    def open(self) -> Callable[[str, Progress], int]:
        raise ModelNotFound("no model 'x'")


class Dies:
    """Its process is killed while it loads."""

    def open(self) -> Callable[[str, Progress], int]:
        os.kill(os.getpid(), signal.SIGKILL)
        sys.exit("not reached")


class Threads:
    """Tells how many threads torch takes."""

    def open(self) -> Callable[[str, Progress], int]:
        import torch

        return lambda file, progress: torch.get_num_threads()
