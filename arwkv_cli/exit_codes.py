"""What the ``arwkv`` command tells the shell when it ends."""

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit statuses of every command; scripts depend on them."""

    DONE = 0
    """Everything that was asked for was done."""

    FAILED = 1
    """Something could not be done: one recording among many, or the only one. It was named on stderr."""

    USAGE = 2
    """The command line asks for something that can't be: nothing was started."""

    INTERRUPTED = 130
    """Stopped by Ctrl-C: 128 plus the signal's number, as shells count it."""

    READER_GONE = 141
    """The program that read our output left, as ``head`` does: 128 plus SIGPIPE's number."""
