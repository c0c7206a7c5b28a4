"""The options that all commands over recordings share, each defined once, and their values in one place.

A command takes ``ctx: typer.Context`` and as many of these as it has use for, under the names of the fields of
`RunOptions`; all its other options are taken to bear on its results and are written into ``run.json``.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from arwkv_core.constants import DEFAULT_MODEL
from arwkv_core.errors import UsageError


def _like(ctx: typer.Context, path: Path | None) -> Path | None:
    """Take the options of another run for those that are not given: they become this command's defaults."""
    if path is not None:
        from arwkv_core.run_record import RunRecord

        names = {parameter.name for parameter in ctx.command.params}
        ctx.default_map = RunRecord.read(path).defaults(str(ctx.info_name), names)
    return path


Files = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[FILES]...",
        help="Sound files of any length, folders (all recordings below them), patterns, or - for stdin.",
        show_default=False,
    ),
]
FilesFrom = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Take the files and folders that FILE lists too: one a line, or ended by zero bytes as `find -print0` "
        "does. - reads the list from stdin.",
    ),
]
Glob = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATTERN",
        help="Take from folders only what matches, whatever its ending: *.wav at any depth, or with a slash the "
        "path below the folder, as in 2024/**/*.wav; may be repeated.",
    ),
]
Model = Annotated[
    str, typer.Option(help="A name from `arwkv models list`, a model folder, or a published weight file.")
]
Device = Annotated[
    str, typer.Option(help="auto, cpu, cuda, cuda:1 ...; auto takes a GPU that we have a fast kernel for.")
]
Precision = Annotated[
    str,
    typer.Option(
        metavar="[auto|fp32|bf16|int8]",
        help="Of the matrix products: auto takes bf16 where the CPU has instructions for it, else fp32. int8 is faster "
        "than fp32 on CPUs without bf16, and less exact.",
    ),
]
Channel = Annotated[
    int | None, typer.Option(help="Hear this channel, counted from 0.  [default: the mean of all]")
]
RawScores = Annotated[
    bool,
    typer.Option(
        "--raw-scores",
        help="Take scores as the network gives them, though the model's folder has a calibration that makes "
        "probabilities of them.",
    ),
]
Hop = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        help="Distance between windows, rounded to 0.16 s; smaller is slower and smoother."
        "  [default: half a window; for scores, without --context, what the model says of itself]",
    ),
]
Context = Annotated[
    str | None,
    typer.Option(
        metavar="SECONDS|full",
        help="Length of a window, rounded to 0.16 s; full takes the whole recording as one, in 0.4 GB an hour with the "
        "bundled model. For models without a table of positions.  [default: the model's own, 9.92 s]",
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Write all results to this file instead of stdout. It appears when all is done; what an interrupted "
        "run has finished is kept as FILE.partial.",
    ),
]
OutputDir = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Write a file per recording and format, as in the tree of the recordings: sub/a.wav to "
        "DIR/sub/a.wav.csv. A run that is repeated does only what is missing. With --output, that file holds all of "
        "them too.",
    ),
]
Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", help="Replace an existing --output, and do again what is in --output-dir."),
]
Jobs = Annotated[
    int,
    typer.Option(
        metavar="N",
        help="Work on N recordings at once. They share the cores, which one keeps busy already unless the "
        "recordings are short or come from a slow disk; each needs the model's memory.",
    ),
]
Like = Annotated[
    Path | None,
    typer.Option(
        metavar="RUN.JSON",
        callback=_like,
        is_eager=True,
        help="Repeat the run that left this file in its --output-dir: its recordings and its options, save those "
        "that are given here.",
    ),
]
Scores = Annotated[
    Path | None,
    typer.Option(
        "--scores",
        metavar="DIR",
        help="Keep the scores in DIR, as in the tree of the recordings, and take them from there where neither "
        "recording nor model has changed. An interrupted recording is gone on with.",
    ),
]
From = Annotated[
    Path | None,
    typer.Option(
        "--from",
        metavar="DIR",
        help="Take the scores that --scores has kept in DIR, without the model; of all recordings there, if no "
        "FILES are named.",
    ),
]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="Show no progress, no warnings and no summary; failures are shown."),
]

FORMAT_HELP = (
    "How to write; may be repeated with --output-dir.  [default: by the ending of --output; else table on a terminal, "
    "or csv]"
)


@dataclass(frozen=True)
class RunOptions:
    """What the shared options of a command were set to.

    Parameters
    ----------
    command : str
        The command's name.
    files, files_from, glob, model, device, output, output_dir, overwrite, jobs, scores, from_, quiet
        See the options above.
    format : tuple of str
        Names of formats, each once.
    results : dict
        The options that bear on the results, by parameter name, as JSON has them; without ``model``.
    model_as_recorded : dict or None
        With --like and no --model: what the model must be.
    """

    command: str
    files: tuple[str, ...]
    files_from: str | None
    glob: tuple[str, ...]
    model: str
    device: str
    format: tuple[str, ...]
    output: Path | None
    output_dir: Path | None
    overwrite: bool
    jobs: int
    scores: Path | None
    from_: Path | None
    quiet: bool
    results: Mapping[str, Any]
    model_as_recorded: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, ctx: typer.Context, *, display: frozenset[str] = frozenset()) -> "RunOptions":
        """Gather the options of a command.

        Parameters
        ----------
        ctx : typer.Context
        display : frozenset of str
            Options, by parameter name, that do not bear on the results.

        Raises
        ------
        UsageError
            If two of them exclude each other.
        """
        values = {name: _plain(value) for name, value in ctx.params.items()}
        shared = {*cls.__dataclass_fields__, "like", *display}
        files, files_from = values.get("files") or [], values.get("files_from")
        if ctx.params.get("like"):  # recordings named here stand for all those of the other run
            if given(ctx, "files") and not given(ctx, "files_from"):
                files_from = None
            elif given(ctx, "files_from") and not given(ctx, "files"):
                files = []
        options = cls(
            command=str(ctx.info_name),
            files=tuple(files),
            files_from=files_from,
            glob=tuple(values.get("glob") or []),
            model=values.get("model") or DEFAULT_MODEL,
            device=values.get("device") or "auto",
            format=tuple(dict.fromkeys(_listed(values.get("format")))),
            output=_path(values.get("output")),
            output_dir=_path(values.get("output_dir")),
            overwrite=bool(values.get("overwrite")),
            jobs=values.get("jobs", 1),
            scores=_path(values.get("scores")),
            from_=_path(values.get("from_")),
            quiet=bool(values.get("quiet")),
            results={name: value for name, value in values.items() if name not in shared},
            model_as_recorded=_recorded_model(ctx),
        )
        options.check()
        if options.from_ is not None:
            for name in ("channel", "hop", "context", "precision"):
                if given(ctx, name):
                    raise UsageError(
                        f"--{name} and --from: kept scores are as they were made; --scores makes them anew with "
                        f"--{name}"
                    )
        return options

    def check(self) -> None:
        """Refuse what can't be; see `of`."""
        if self.jobs < 1:
            raise UsageError(f"--jobs: expected at least 1, found {self.jobs}")
        if self.scores is not None and self.from_ is not None:
            raise UsageError("--scores and --from: expected one of them; --from keeps nothing new")
        if self.files_from == "-" and "-" in self.files:
            raise UsageError("--files-from - and the file -: stdin can be a list or a recording, not both")
        if not self.files and self.files_from is None and self.from_ is None:
            raise UsageError(
                "expected FILES (sound files, folders, - for stdin) or --files-from, found neither"
            )
        if self.glob and "" in self.glob:
            raise UsageError("--glob: expected a pattern such as *.wav, found nothing")


def _plain(value: Any) -> Any:
    """Turn an option's value into what JSON has."""
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value] or None
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return getattr(value, "value", value)  # an Enum's


def _path(value: str | None) -> Path | None:
    return None if value is None else Path(value)


def _listed(value: Any) -> list[str]:
    return [] if value is None else value if isinstance(value, list) else [value]


def given(ctx: typer.Context, name: str) -> bool:
    """Whether the user has set an option, by parameter name, rather than its default or --like."""
    source = ctx.get_parameter_source(name)
    return source is not None and source.name in ("COMMANDLINE", "ENVIRONMENT")


def _recorded_model(ctx: typer.Context) -> Mapping[str, Any] | None:
    like = ctx.params.get("like")
    if like is None or given(ctx, "model"):
        return None
    from arwkv_core.run_record import RunRecord

    return RunRecord.read(Path(like)).model
