"""Files in the user's cache directory: there whole or not at all, and found out where they are damaged."""

import hashlib
import os
import secrets
import sys
from pathlib import Path

CACHE_VARIABLE = "LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME"
"""Environment variable that moves the user's cache directory."""

DIGEST_BYTES = hashlib.sha256().digest_size


def user_cache_directory() -> Path:
    """Where this user's programs keep what they can make again."""
    home = Path.home()
    if sys.platform == "win32":
        return Path(os.environ.get(CACHE_VARIABLE) or home / "AppData" / "Local")
    if sys.platform == "darwin":
        return home / "Library" / "Caches"
    return Path(os.environ.get(CACHE_VARIABLE) or home / ".cache")


def keep(path: Path, content: bytes) -> None:
    """Write a file that is there whole or not at all, whoever writes beside us; folders on the way are made.

    Raises
    ------
    OSError
        If it can't be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    filling = path.with_name(f".{secrets.token_hex(8)}")
    try:
        filling.write_bytes(hashlib.sha256(content).digest() + content)
        filling.replace(path)
    finally:
        filling.unlink(missing_ok=True)


def kept(path: Path) -> bytes | None:
    """What `keep` wrote; None where there is no such file, or a damaged one, which no loader would survive."""
    try:
        whole = path.read_bytes()
    except OSError:
        return None
    digest, content = whole[:DIGEST_BYTES], whole[DIGEST_BYTES:]
    return content if hashlib.sha256(content).digest() == digest else None
