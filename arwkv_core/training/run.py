"""From file names to a trained model folder."""

from __future__ import annotations

import contextlib
from pathlib import Path

from arwkv_core.errors import ConfigError

from .corpus import Corpus
from .mel_store import MelStore, open_mel_store
from .processes import Processes
from .recipe import Recipe
from .trainer import CHECKPOINT_SECONDS, Trainer

RECIPES = Path(__file__).parent / "recipes"


def find_recipe(name_or_path: str | Path) -> Path:
    """Path of a recipe file, or of a bundled recipe's name.

    Raises
    ------
    ConfigError
        If there is neither.
    """
    path = Path(name_or_path)
    if path.is_file():
        return path
    bundled = {recipe.stem: recipe for recipe in RECIPES.glob("*.toml")}
    if str(name_or_path) not in bundled:
        raise ConfigError(
            f"{name_or_path}: no such file, nor a bundled recipe ({', '.join(sorted(bundled))})"
        )
    return bundled[str(name_or_path)]


def train(
    recipe: str | Path,
    output: str | Path,
    *,
    data: str | Path | None = None,
    cache: str | Path | None = None,
    device: str = "auto",
    overwrite: bool = False,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    progress: bool = True,
) -> Path | None:
    """Train a model; what ``arwkv train`` runs, alone or in one of several processes that torchrun has started.

    Parameters
    ----------
    recipe : str or Path
        TOML file, or the name of a bundled recipe.
    output : str or Path
        Folder of the run. One that holds a run of the same recipe and corpus is continued.
    data : str or Path, optional
        Folder of the corpus; by default that of the recipe.
    cache : str or Path, optional
        Folder for decoded log-mels (float16, 92 MB an hour); by default ``cache`` in the output folder.
    device : str
    overwrite : bool
        Start anew where the folder holds a run.
    checkpoint_seconds : float
        A kill loses at most about so much work.
    progress : bool
        Show bars on stderr.

    Returns
    -------
    Path or None
        The model's folder; None in processes but the first.

    Raises
    ------
    ArwkvError
        If the recipe, the corpus or the run folder can't be used.
    """
    path = find_recipe(recipe)
    plan = Recipe.read(path)
    folder = Path(data) if data is not None else path.parent
    files = plan.data
    corpus = Corpus.read(
        folder / files.manifest,
        folder / files.labels,
        folder / files.teacher if files.teacher else None,
        folder / files.embeddings if files.embeddings and plan.loss.embedding else None,
    )
    with contextlib.closing(Processes(device)) as processes:
        mels = shared_mel_store(corpus, cache or Path(output) / "cache", processes, progress=progress)
        trainer = Trainer(
            plan,
            corpus,
            mels,
            output,
            overwrite=overwrite,
            checkpoint_seconds=checkpoint_seconds,
            processes=processes,
        )
        return trainer.run(progress=progress)


def shared_mel_store(
    corpus: Corpus, cache: str | Path, processes: Processes, *, progress: bool = True
) -> MelStore:
    """Open the log-mels of a corpus; the first process makes them, the others wait for that."""
    paths = [clip.path for clip in corpus.clips]
    parts = [(clip.start, clip.end) for clip in corpus.clips]
    shown = progress and processes.first
    return processes.in_turn(lambda: open_mel_store(paths, cache, parts=parts, progress=shown))
