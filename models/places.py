"""Where models lie: inside this package, and in the user's data folder."""

import os
import sys
from pathlib import Path

BUNDLED_FOLDER = Path(__file__).resolve().parent
"""Models that come with arwkv."""

HOME_VARIABLE = "ARWKV_HOME"


def user_folder() -> Path:
    """Folder of the models that the user has added; it need not exist yet.

    Returns
    -------
    Path
        ``models`` in ``$ARWKV_HOME``, or else in the platform's place for an application's data: on Linux
        ``$XDG_DATA_HOME/arwkv``, which is ``~/.local/share/arwkv`` by default.
    """
    if home := os.environ.get(HOME_VARIABLE):
        return Path(home).expanduser().absolute() / "models"
    return _data_folder() / "arwkv" / "models"


def _data_folder() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    xdg = Path(os.environ.get("XDG_DATA_HOME", ""))
    return (
        xdg if xdg.is_absolute() else Path.home() / ".local" / "share"
    )  # the XDG rules ignore relative paths
