"""Formats whose files hold one recording."""

from ..errors import UsageError


class OneRecording:
    """Lets a writer take one recording and refuse a second.

    Parameters
    ----------
    format : str
        Name of the format, for the message.
    """

    def __init__(self, format: str) -> None:
        self.format = format
        self.file: str | None = None

    def take(self, file: str) -> None:
        """Take note of the recording.

        Raises
        ------
        UsageError
            If there was one before.
        """
        if self.file is not None:
            raise UsageError(
                f"--format {self.format}: expected one recording, as a file in this format holds no more, "
                f"found a second, {file}, after {self.file}; --output-dir writes a file per recording"
            )
        self.file = file
