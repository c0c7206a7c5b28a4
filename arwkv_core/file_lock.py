"""Keep other processes away from an open file, until it is closed or this process ends, however it ends."""

import errno
import fcntl
from typing import BinaryIO


def lock_alone(file: BinaryIO, *, wait: bool = False) -> None:
    """Lock a file against all others that lock it so; on a drive that knows no locks, nothing happens.

    Parameters
    ----------
    file : BinaryIO
    wait : bool
        Wait until whoever has it locked is done.

    Raises
    ------
    BlockingIOError
        If another process has it locked, and we don't wait.
    OSError
        If it can't be locked for any other reason.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP):  # some network drives
            raise
