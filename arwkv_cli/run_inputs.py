"""What a run starts from: the recordings that its options name, their kept scores, the model; and the record of it."""

import os

from arwkv_cli.run_options import RunOptions
from arwkv_core.errors import UsageError
from arwkv_core.file_list import read_file_list
from arwkv_core.finder import Found, find_recordings
from arwkv_core.kept_scores import SUFFIX, KeptScores, settle_root
from arwkv_core.model_config import file_sha256
from arwkv_core.model_identity import model_identity
from arwkv_core.output_tree import OutputTree
from arwkv_core.run_record import RunRecord


def find_inputs(options: RunOptions) -> Found:
    """Find the recordings of a run or, with --from and no FILES, the kept scores.

    Raises
    ------
    UsageError
        If there is nothing, or the list of files can't be read.
    """
    leave_out = options.output_dir
    if options.from_ is not None and not options.from_.is_dir():
        raise UsageError(f"--from {options.from_}: expected a folder of kept scores, there is none")
    if scores_are_inputs(options):
        assert options.from_ is not None
        if options.glob:
            raise UsageError(
                "--glob: chooses recordings in FILES, and there are none: --from takes all kept scores"
            )
        try:
            return find_recordings([str(options.from_)], globs=[f"*{SUFFIX}"], leave_out=leave_out)
        except UsageError as error:
            raise UsageError(
                f"--from {options.from_}: no kept scores (*{SUFFIX}) below it: --scores {options.from_} keeps them"
            ) from error
    listed = [] if options.files_from is None else read_file_list(options.files_from)
    return find_recordings(options.files, listed=listed, globs=options.glob, leave_out=leave_out)


def scores_are_inputs(options: RunOptions) -> bool:
    """Whether the run takes all kept scores of a folder."""
    return options.from_ is not None and not options.files and options.files_from is None


def place_of_scores(options: RunOptions, found: Found) -> KeptScores | None:
    """Tell where the scores of a run's recordings are kept, if at all.

    Raises
    ------
    UsageError
        If the folder holds the scores of another tree.
    """
    if options.scores is not None:
        root = settle_root(options.scores, root_of(found), "--scores", write=True)
        return KeptScores(OutputTree(str(options.scores), root), read_only=False)
    if options.from_ is None:
        return None
    if scores_are_inputs(options):
        return KeptScores(None, read_only=True)
    root = settle_root(options.from_, root_of(found), "--from", write=False)
    return KeptScores(OutputTree(str(options.from_), root), read_only=True)


def check_model(options: RunOptions) -> dict[str, object] | None:
    """Tell which model the run takes, without loading it; None with --from.

    Raises
    ------
    ModelNotFound, ConfigError
        If there is no such model.
    UsageError
        If it isn't that of the run which --like repeats.
    """
    if options.from_ is not None or (options.output_dir is None and options.model_as_recorded is None):
        return None
    model = model_identity(options.model)
    wanted = options.model_as_recorded
    if wanted is not None and wanted.get("weights_sha256") != model["weights_sha256"]:
        raise UsageError(
            f"--like: expected the model {wanted.get('name')} with the sha256 {wanted.get('weights_sha256')}, found "
            f"{model['name']} with {model['weights_sha256']}; --model {options.model} takes it all the same"
        )
    return model


def new_record(
    options: RunOptions,
    found: Found,
    model: dict[str, object] | None,
    formats: list[str],
    *,
    rounds_kept: bool,
) -> RunRecord:
    """Write down what a run into a folder is made with."""
    return RunRecord(
        command=options.command,
        options=options.results,
        model=model,
        root=root_of(found),
        inputs={
            "files": list(options.files),
            "files_from": options.files_from,
            "glob": list(options.glob),
            "folder": os.getcwd(),  # noqa: PTH109 - undecodable bytes stay
        },
        format=formats,
        device=options.device,
        scores=_absolute(options.scores),
        from_=_absolute(options.from_),
        output=_absolute(options.output),
        files={
            name: file_sha256(value)
            for name, value in options.results.items()
            if isinstance(value, str) and os.path.isfile(value)  # noqa: PTH113
        },
        rounded=rounds_kept and not (options.scores is None and options.from_ is None),
    )


def root_of(found: Found) -> str:
    """Return the folder, absolute, that holds all recordings; for stdin alone, the current one."""
    return os.getcwd() if found.root is None else found.root  # noqa: PTH109


def _absolute(path: os.PathLike[str] | None) -> str | None:
    return None if path is None else os.path.abspath(path)  # noqa: PTH100
