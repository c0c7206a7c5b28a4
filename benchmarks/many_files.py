"""What a folder of many short recordings costs besides the model: time a file, and memory.

    python benchmarks/many_files.py [--files 100000] [--jobs 1] [--folder DIR]

Builds a tree of tiny wav files in a temporary folder (hard links, a thousand a folder), and runs over it, as a process
of its own, a command like ``arwkv tag`` whose task gives every recording the same tags without opening it: what is left
is start-up, scan, bookkeeping and a csv file for each. Three runs: into an empty folder; again, when all is there; and
again after half of the outputs were deleted. Exits with 1 if one takes over 2 ms a file or its processes over 200 MB.

On two Zen 5 cores that were busy with other work, 100,000 files took 0.58, 0.03 and 0.60 ms each, and 139 MB in all.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Callable
from pathlib import Path

import typer

from arwkv_cli.run_options import Files, Jobs, OutputDir, Overwrite, Quiet
from arwkv_core.batch import Progress
from arwkv_core.results import Coverage, Tag, TagResult

MOST_MILLISECONDS = 2.0
MOST_MEGABYTES = 200
FILES_A_FOLDER = 1000
LINKS_A_FILE = 10_000  # file systems know limits


class Nothing:
    """Tags without hearing."""

    def open(self) -> Callable[[str, Progress], TagResult]:
        coverage = Coverage(0.1, 0.1, 0.0, 0.095, 1, 0)
        tags = [Tag(f"Class {rank}", f"/m/{rank}", 0.5, 0.9, 0.1) for rank in range(5)]
        return lambda file, progress: TagResult(file, "none", "mean", 0.5, coverage, tags)


def nothing(
    ctx: typer.Context,
    files: Files = None,
    output_dir: OutputDir = None,
    overwrite: Overwrite = False,
    jobs: Jobs = 1,
    quiet: Quiet = False,
) -> None:
    """Do a run of ``arwkv tag`` without its model."""
    from arwkv_cli.folder_run import run_folder
    from arwkv_cli.tag_formats import TAG_FORMATS

    run_folder(ctx, formats=TAG_FORMATS, make_task=lambda plan: Nothing())


def build(folder: Path, files: int) -> None:
    """Make the recordings."""
    for index in range(files):
        below = folder / f"day {index // FILES_A_FOLDER:03}"
        if index % FILES_A_FOLDER == 0:
            below.mkdir(parents=True)
        path = below / f"recording_{index:06}.wav"
        if index % LINKS_A_FILE == 0:
            first = path
            with wave.open(str(first), "wb") as sound:
                sound.setnchannels(1)
                sound.setsampwidth(2)
                sound.setframerate(8000)
                sound.writeframes(bytes(1600))
        else:
            path.hardlink_to(first)


def measure(folder: Path, output: Path, jobs: int) -> dict[str, float]:
    """Run once, in a process of its own."""
    command = [sys.executable, __file__, "--one-run", folder, "--output-dir", output, "--jobs", str(jobs)]
    started = time.perf_counter()
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        sys.exit(f"the run failed with {done.returncode}:\n{done.stderr[-2000:]}")
    return {"seconds": seconds, **json.loads(done.stdout)}


def one_run() -> None:
    """Be the process that is measured."""
    app = typer.Typer(add_completion=False)
    app.command()(nothing)
    sys.argv.remove("--one-run")
    try:
        app(standalone_mode=False)
    finally:
        units = 1 if sys.platform == "darwin" else 1024
        peaks = {
            name: resource.getrusage(who).ru_maxrss * units / 1e6
            for name, who in (("self", resource.RUSAGE_SELF), ("workers", resource.RUSAGE_CHILDREN))
        }
        print(json.dumps(peaks))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument(
        "--folder", type=Path, help="where to build the tree; the temporary folder by default"
    )
    options = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        recordings, output = Path(scratch, "recordings"), Path(scratch, "out")
        build(recordings, options.files)
        for name in ("all anew", "all there", "half there"):
            if name == "half there":
                for path in list(output.rglob("*.csv"))[::2]:
                    path.unlink()
            found = measure(recordings, output, options.jobs)
            outputs = sum(1 for _ in output.rglob("*.wav.csv"))
            each = found["seconds"] / options.files * 1000
            total = found["self"] + options.jobs * found["workers"]
            print(
                f"{name:10}: {found['seconds']:6.1f} s, {each:.2f} ms a file; {found['self']:.0f} MB, "
                f"and {found['workers']:.0f} MB a worker; {outputs} outputs"
            )
            failed |= each > MOST_MILLISECONDS or total > MOST_MEGABYTES or outputs != options.files
    sys.exit(int(failed))


if __name__ == "__main__":
    if "--one-run" in sys.argv:
        one_run()
    else:
        main()
