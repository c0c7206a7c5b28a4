"""What several test files share: where things are, and how to run the command line."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

# Threads that wait for their next piece of work in a loop keep the cores from whatever else runs, other tests above
# all. Read when torch is loaded, so set here; processes that tests start have it too.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# A shell starts what runs in the background with Ctrl-C ignored, and all that it starts in turn: tests of what an
# interrupt does would wait for it in vain.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile(
    "arwkv", deadline=None
)  # a deadline on a busy machine is a test that fails by chance
settings.load_profile("arwkv")

CHECKOUT = Path(__file__).resolve().parents[1]

RunArwkv = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The root of the repository."""
    return CHECKOUT


@pytest.fixture(scope="session")
def examples() -> Path:
    """The folder with the example recordings."""
    return CHECKOUT / "examples"


@pytest.fixture(scope="session")
def tracked() -> list[str]:
    """Every file under version control that is still there, relative to the checkout; links are left out."""
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    if listing.returncode:
        pytest.skip(f"needs a git checkout: {listing.stderr.strip()}")
    names = [name for name in listing.stdout.split("\0") if name]
    return [name for name in names if (CHECKOUT / name).is_file() and not (CHECKOUT / name).is_symlink()]


@pytest.fixture(autouse=True)
def own_arwkv_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for the user's models: no test sees or changes those of the person who runs it."""
    home = tmp_path_factory.mktemp("arwkv-home")
    monkeypatch.setenv("ARWKV_HOME", str(home))
    return home


@pytest.fixture
def run_arwkv(tmp_path: Path) -> RunArwkv:
    """Run ``arwkv`` in a process of its own, in an empty folder, and give back the completed process."""

    def run(
        *arguments: str | Path, check: bool = False, **keywords: object
    ) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "arwkv_cli", *map(str, arguments)]
        options = {"cwd": tmp_path, "env": os.environ | {"COLUMNS": "100"}, **keywords}
        return subprocess.run(
            command, capture_output=True, text=True, check=check, stdin=subprocess.DEVNULL, **options
        )

    return run
