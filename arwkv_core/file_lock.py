"""Keep other processes away from an open file, until it is closed or this process ends, however it ends."""

import errno
import fcntl
from typing import BinaryIO


def lock_alone(file: BinaryIO) -> None:
    """Lock a file against all others that lock it so; on a drive that knows no locks, nothing happens.

    Raises
    ------
    BlockingIOError
        If another process has it locked.
    OSError
        If it can't be locked for any other reason.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP):  # some network drives
            raise
