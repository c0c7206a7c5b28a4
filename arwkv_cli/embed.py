"""``arwkv embed``: vectors that stand for recordings, their windows or their steps."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arwkv_cli.run_options import (
    Channel,
    Context,
    Device,
    Files,
    FilesFrom,
    Glob,
    Hop,
    Jobs,
    Like,
    Model,
    Output,
    OutputDir,
    Overwrite,
    Precision,
    Quiet,
)
from arwkv_core.constants import DEFAULT_MODEL
from arwkv_core.errors import UsageError

if TYPE_CHECKING:
    from arwkv_cli.folder_run import RunPlan
    from arwkv_core.embed_task import EmbedTask


class Level(str, Enum):
    """What a vector stands for."""

    STEP = "step"
    WINDOW = "window"
    RECORDING = "recording"


class Format(str, Enum):
    """How vectors are written."""

    NPY = "npy"
    NPZ = "npz"
    PARQUET = "parquet"
    SAFETENSORS = "safetensors"


class Dtype(str, Enum):
    """How numbers are kept."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"


def embed(
    ctx: typer.Context,
    files: Files = None,
    level: Annotated[
        Level,
        typer.Option(
            help="A vector for every 0.16 s (step), for each window that the model hears at once, or for the whole "
            "recording."
        ),
    ] = Level.WINDOW,
    dtype: Annotated[
        Dtype, typer.Option(help="How the vectors are kept: float16 takes half the room, for 3 digits.")
    ] = Dtype.FLOAT32,
    model: Model = DEFAULT_MODEL,
    device: Device = "auto",
    precision: Precision = "auto",
    channel: Channel = None,
    hop: Hop = None,
    context: Context = None,
    glob: Glob = None,
    files_from: FilesFrom = None,
    format: Annotated[
        list[Format] | None,
        typer.Option(
            "--format",
            "-f",
            help="How to write; may be repeated with --output-dir. npy comes with a JSON file beside it, which has "
            "the times; parquet alone holds several recordings.  [default: by the ending of --output, else npy]",
        ),
    ] = None,
    output: Output = None,
    output_dir: OutputDir = None,
    overwrite: Overwrite = False,
    jobs: Jobs = 1,
    like: Like = None,
    quiet: Quiet = False,
) -> None:
    """Turn recordings into vectors, for search, clustering or classifiers of your own.

    A vector is what the model's last layer sees before it scores the classes. Each comes with its start and end in
    seconds, each file with the name of the model and the hash of its weights. Memory does not grow with a
    recording's length.

    Vectors are not for people, so --output or --output-dir must say where they go. In a pipe, --format npz, parquet or
    safetensors writes them to stdout.
    """
    from arwkv_cli.folder_run import run_folder
    from arwkv_core.writers.embedding_format import EMBEDDING_FORMATS

    if output is None and output_dir is None and (not format or Format.NPY in format):
        raise UsageError(
            "expected --output FILE or --output-dir DIR for the vectors, found neither; in a pipe, --format npz, "
            "parquet or safetensors writes them to stdout (npy is two files)"
        )
    alone = frozenset(name for name, known in EMBEDDING_FORMATS.items() if not known.several)
    by_task = frozenset[
        str
    ]()  # what the task writes where it shall be, and not to a file of its own that is copied
    if output_dir is not None:
        by_task = frozenset(EMBEDDING_FORMATS)
    elif output is not None:
        by_task = alone
    with ExitStack() as stack:

        def task(plan: "RunPlan") -> "EmbedTask":
            from arwkv_core.embed_task import EmbedTask

            name = plan.formats[0]
            whole = (name, output) if output_dir is None and output is not None and name in alone else None
            part = None
            if output_dir is None and whole is None:
                part = name, stack.enter_context(_part_folder(output))
            return EmbedTask(
                level=level.value,
                model=model,
                device=device,
                precision=precision,
                channel=channel,
                hop=hop,
                context=context,
                dtype=dtype.value,
                tree=plan.tree,
                formats=plan.formats if plan.tree is not None else (),
                part=part,
                output=whole,
                overwrite=overwrite,
            )

        run_folder(ctx, formats=EMBEDDING_FORMATS, make_task=task, by_task=by_task)


@contextmanager
def _part_folder(output: Path | None) -> Iterator[Path]:
    """A hidden folder beside the output, or for stdout among the temporary files, which goes with the block."""
    import tempfile

    beside = None if output is None else output.parent
    try:
        folder = tempfile.TemporaryDirectory(prefix=".arwkv-", dir=beside)
    except OSError as error:
        where = (
            "stdout: the vectors wait in a temporary file, which" if output is None else f"--output {output}:"
        )
        raise UsageError(f"{where} can't be written: {error.strerror}") from error
    with folder as path:
        yield Path(path)
