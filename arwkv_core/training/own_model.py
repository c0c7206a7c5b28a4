"""Where a model that was trained on goes when it is done: the user's models, or a folder."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from arwkv_core.errors import ArwkvError, UsageError
from arwkv_core.labelled.card_table import result_lines
from arwkv_core.labelled.result import Result
from arwkv_core.model_config import CARD_FILE, CONFIG_FILE, ModelConfig
from arwkv_core.staging import refuse_existing, refuse_unwritable
from arwkv_core.toml_writer import TomlValue

TITLES = {
    "valid": "the validation recordings, by which the best weights were chosen",
    "test": "the split test, which was not learnt from",
}


@dataclass(frozen=True)
class Destination:
    """A folder for a model of this name, among the user's models or ``elsewhere``."""

    folder: Path
    name: str
    elsewhere: bool

    def check(self, made: Path | None = None, *, overwrite: bool) -> None:
        """Refuse a place that is taken, unless by what this run has made and brought there before.

        Parameters
        ----------
        made : Path, optional
            The model in the run's folder, which need not be there yet.
        overwrite : bool
            What is there may be replaced.

        Raises
        ------
        UsageError
            If the place is taken or can't be written, or the name is none.
        """
        import arwkv_models

        mine = (
            made is not None
            and self.folder.is_dir()
            and _sha256(self.folder) is not None
            and _sha256(self.folder) == _sha256(made)
        )
        if self.elsewhere:
            arwkv_models.check_form(self.name)
        else:
            arwkv_models.check_name(self.name, overwrite or mine)
        try:
            refuse_existing(self.folder, overwrite or mine)
        except UsageError as error:
            raise UsageError(f"--output {error}" if self.elsewhere else str(error)) from None
        refuse_unwritable(self.folder.absolute().parent, "--output" if self.elsewhere else "models go to")


def destination(name: str, output: str | Path | None) -> Destination:
    """Where a model of this name goes."""
    import arwkv_models

    if output is not None:
        return Destination(Path(output), name, elsewhere=True)
    return Destination(arwkv_models.user_folder() / name, name, elsewhere=False)


def deliver(made: Path, results: dict[str, Result], place: Destination, *, overwrite: bool) -> None:
    """Write down what was measured of a model, and copy it to its place.

    Parameters
    ----------
    made : Path
        The model in the run's folder.
    results : dict of str to Result
        By split.
    place : Destination
    overwrite : bool
        Replace what is there.

    Raises
    ------
    UsageError
        If the place is taken.
    """
    from arwkv_core.checkpoint import load_model, save_model_folder

    place.check(made, overwrite=overwrite)
    network, config, labels = load_model(made)
    metrics: dict[str, TomlValue] = {split: dict(result.summary()) for split, result in results.items()}
    lines = (made / CARD_FILE).read_text(encoding="utf-8").split("\n## Metrics")[0].rstrip().splitlines()
    for split, result in results.items():
        lines += ["", f"## Metrics: {split}", "", *result_lines(TITLES[split], result)]
    # nothing is rounded again: the weights are in bfloat16 already
    save_model_folder(
        place.folder,
        network,
        dataclasses.replace(config, metrics=metrics),
        labels,
        "\n".join(lines) + "\n",
        dtype=None,
        overwrite=overwrite or place.folder.exists(),
    )


def _sha256(folder: Path) -> str | None:
    try:
        return ModelConfig.read(folder / CONFIG_FILE).weights_sha256
    except ArwkvError:
        return None
