"""From file names to a trained model folder."""

from __future__ import annotations

from pathlib import Path

from arwkv_core.errors import ConfigError

from .corpus import Corpus
from .mel_store import open_mel_store
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
) -> Path:
    """Train a model; what ``arwkv train`` runs.

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
    Path
        The model's folder.

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
    mels = open_mel_store(
        [clip.path for clip in corpus.clips], cache or Path(output) / "cache", progress=progress
    )
    trainer = Trainer(
        plan,
        corpus,
        mels,
        output,
        device=device,
        overwrite=overwrite,
        checkpoint_seconds=checkpoint_seconds,
    )
    return trainer.run(progress=progress)
