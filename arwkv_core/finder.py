"""Find the recordings that a user names: files, folders, patterns and ``-``.

Paths stay text here: they are shown as the user wrote them, and a folder may hold 100,000.
"""

# ruff: noqa: PTH100, PTH112, PTH116, PTH118, PTH120, PTH122, PTH207

import glob
import os
from collections.abc import Iterable
from dataclasses import dataclass, field

from .errors import UsageError
from .path_pattern import PathPatterns
from .results import Failure

_SOUNDFILE = "aif aifc aiff au caf flac mp1 mp2 mp3 oga ogg opus paf rf64 sd2 snd voc w64 wav wave wve"
_PYAV = "3gp aac ac3 amr ape avi dts flv m4a m4b mka mkv mov mp4 mpc mpeg mpg oma ra tak tta webm wma wmv wv"

AUDIO_EXTENSIONS = frozenset(f"{_SOUNDFILE} {_PYAV}".split())
"""Endings, in lower case, of the files that are taken from a folder. A file named by itself may have any.
(Not ``ts``: among people who write code, most such files are TypeScript.)"""

STDIN = "-"


@dataclass
class Found:
    """What the inputs of a run come to.

    Parameters
    ----------
    files : list of str
        Recordings, each once, in the order of the inputs; the files of a folder in the order of their names.
    failures : list of Failure
        Folders that can't be read, and patterns that nothing matches.
    empty : list of str
        Folders without recordings.
    root : str or None
        The deepest folder, absolute, that all inputs lie in; a folder lies in itself. None for stdin alone.
    """

    files: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    root: str | None = None


def find_recordings(
    inputs: Iterable[str],
    *,
    listed: Iterable[str] = (),
    globs: Iterable[str] = (),
    leave_out: str | os.PathLike[str] | None = None,
) -> Found:
    """Turn what the user named into a list of recordings.

    A file is taken as it is, whatever its ending, and even if it isn't there: opening it will tell why. A
    folder gives the files below it that have an audio ending, without hidden ones (``.name``) and without
    what hidden folders hold; links are followed, but no folder is entered twice. A pattern (``*``, ``?``,
    ``[…]``; ``**`` for any depth) is for shells that don't expand it, and gives what it matches.

    Parameters
    ----------
    inputs : iterable of str
        Paths, patterns or ``-``.
    listed : iterable of str
        Paths from a list, which come after them: no patterns, even if they look so.
    globs : iterable of str
        Take from folders what matches one of these instead of what has an audio ending; see `PathPatterns`.
    leave_out : path-like, optional
        A folder that is not entered unless it is named itself: outputs may lie among the recordings.

    Returns
    -------
    Found

    Raises
    ------
    UsageError
        If they come to nothing at all, or a glob is none.
    """
    inputs, globs = list(inputs), list(globs)
    search = _Search(PathPatterns(globs) if globs else None, leave_out)
    for name in inputs:
        search.add(name)
    for name in listed:
        search.add_path(name)
    if not search.found.files and not search.found.failures:
        where = ", ".join(inputs) or "the list of files"
        if globs:
            raise UsageError(f"no recordings in {where}: nothing matches --glob {' '.join(globs)}")
        raise UsageError(
            f"no recordings in {where}: folders give files with these endings only "
            f"({' '.join(sorted(AUDIO_EXTENSIONS))}); name a file itself to try it whatever its ending"
        )
    return search.found


def has_audio_extension(path: str) -> bool:
    """Whether a file's ending is one of `AUDIO_EXTENSIONS`."""
    return os.path.splitext(path)[1][1:].lower() in AUDIO_EXTENSIONS


def absolute(path: str) -> str:
    """Return where a file is. Links stay as they are, save those from which ``..`` leads back."""
    parts = path.split(os.sep) if os.pardir in path else []  # noqa: PTH206
    if os.pardir not in parts:
        return os.path.abspath(path)
    last = len(parts) - parts[::-1].index(os.pardir)
    return os.path.normpath(os.path.join(os.path.realpath(os.sep.join(parts[:last])), *parts[last:]))


class _Search:
    """The state of a search: what was found, and where it has been."""

    def __init__(self, patterns: PathPatterns | None, leave_out: str | os.PathLike[str] | None) -> None:
        self.found = Found()
        self._patterns = patterns
        self._leave_out = _identity(leave_out) if leave_out is not None else None
        self._files: set[str] = set()  # absolute paths
        self._folders: set[tuple[int, int]] = set()  # identities of the folders entered

    def add(self, name: str) -> None:
        """Add a file, a folder or a pattern."""
        if name == STDIN or os.path.lexists(name) or not glob.has_magic(name):  # "[live].mp3" may be a file
            self.add_path(name)
            return
        matches = sorted(glob.glob(name, recursive=True))
        if not matches:
            self.found.failures.append(Failure(name, "no file matches this pattern"))
        for path in matches:
            # ** sweeps up everything; what a narrower pattern gives is meant
            if "**" not in name or os.path.isdir(path) or has_audio_extension(path):
                self.add_path(path)

    def add_path(self, path: str) -> None:
        """Add a file or a folder."""
        if path == STDIN:
            self._add_file(path)
            return
        is_folder = os.path.isdir(path)
        place = absolute(path)
        folder = place if is_folder else os.path.dirname(place)
        root = self.found.root
        self.found.root = folder if root is None else os.path.commonpath([root, folder])
        if is_folder:
            self._add_folder(path)
        else:
            self._add_file(path)

    def _add_file(self, path: str) -> None:
        identity = path if path == STDIN else absolute(path)
        if identity not in self._files:
            self._files.add(identity)
            self.found.files.append(path)

    def _add_folder(self, root: str) -> None:
        """Add the recordings below a folder, by name, depth first."""
        nothing = True
        waiting = [(root, True)]  # a stack and no recursion: trees may be deeper than Python's limit
        below = len(os.path.join(root, ""))  # where the path below the folder begins
        while waiting:
            path, is_folder = waiting.pop()
            if not is_folder:
                nothing = False
                self._add_file(path)
                continue
            try:
                status = os.stat(path)
                identity = (status.st_dev, status.st_ino)
                if identity == self._leave_out and path != root:
                    continue
                if identity in self._folders:  # a link back up, or a folder that was named as well
                    nothing = False
                    continue
                self._folders.add(identity)
                inside = self._list(path, below)
            except OSError as error:
                nothing = False
                self.found.failures.append(Failure(path, f"can't be read: {error.strerror}"))
                continue
            waiting.extend(reversed(inside))
        if nothing:
            self.found.empty.append(root)

    def _list(self, folder: str, below: int) -> list[tuple[str, bool]]:
        """List the recordings and folders in a folder by name: path, and whether it is a folder."""
        inside = []
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                try:
                    if entry.is_dir():
                        inside.append((entry.path, True))
                    elif self._is_wanted(entry, below) and (entry.is_file() or entry.is_symlink()):
                        inside.append((entry.path, False))  # a broken link too: a recording is missing there
                except OSError:  # a link to itself: opening it will tell
                    if self._is_wanted(entry, below):
                        inside.append((entry.path, False))
        return sorted(inside)

    def _is_wanted(self, entry: "os.DirEntry[str]", below: int) -> bool:
        if self._patterns is None:
            return has_audio_extension(entry.name)
        return self._patterns.match(entry.path[below:].replace(os.sep, "/"))


def _identity(folder: str | os.PathLike[str]) -> tuple[int, int] | None:
    try:
        status = os.stat(folder)
    except OSError:
        return None
    return status.st_dev, status.st_ino
