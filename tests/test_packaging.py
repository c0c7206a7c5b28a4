"""The wheel: it holds every file of the packages, and works where there is no checkout."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

FOLDERS = {
    "arwkv_cli": "arwkv_cli",
    "arwkv_core": "arwkv_core",
    "kernels": "arwkv_kernels",
    "models": "arwkv_models",
}


def pip(*arguments: str | Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tracked: list[str], checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy of what is under version control: without leftovers of earlier builds."""
    for module in ("pip", "setuptools"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"building a wheel without network needs {module} in this environment")
    copy, folder = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("wheel")
    for name in tracked:
        if Path(name).parts[0] in FOLDERS or "/" not in name:
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(checkout / name, copy / name)
    pip("wheel", copy, "--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir", folder)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing but the wheel installed into it: dependencies come from this environment."""
    folder = tmp_path_factory.mktemp("installed")
    pip("install", "--no-deps", "--no-index", "--quiet", "--target", folder, wheel)
    return folder


def run_installed(
    installed: Path, cwd: Path, *command: str | Path, check: bool = True
) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=check,
    )


def test_wheel_holds_every_file_of_the_packages_and_nothing_else(wheel: Path, tracked: list[str]) -> None:
    expected = {
        "/".join([FOLDERS[parts[0]], *parts[1:]])
        for parts in (Path(name).parts for name in tracked)
        if parts[0] in FOLDERS
    }
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == expected


def test_wheel_carries_the_licence_and_the_command(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    parts = {name.split(".dist-info/")[1]: name for name in archive.namelist() if ".dist-info/" in name}
    assert b"Apache License" in archive.read(parts["licenses/LICENSE"])
    assert b"arwkv = arwkv_cli.app:main" in archive.read(parts["entry_points.txt"])


def test_installed_packages_are_not_the_checkout(installed: Path, tmp_path: Path) -> None:
    program = "import " + ", ".join(FOLDERS.values()) + "; print(arwkv_core.__file__, arwkv_models.__file__)"
    for path in run_installed(installed, tmp_path, "-c", program).stdout.split():
        assert Path(path).is_relative_to(installed)


def test_installed_command_tags_a_recording(installed: Path, tmp_path: Path, examples: Path) -> None:
    """The bundled model, its labels and the kernels all come out of the wheel."""
    recording = shutil.copy(examples / "speech.flac", tmp_path)
    done = run_installed(
        installed, tmp_path, installed / "bin" / "arwkv", "tag", recording, "--format", "json", check=False
    )
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(done.stdout)
    assert result["tags"][0]["name"] == "Speech"
