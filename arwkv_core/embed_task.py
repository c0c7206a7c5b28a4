"""The work of ``arwkv embed`` on one recording: plain data, for any number of processes."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from .batch import Progress
from .context import Context
from .errors import UsageError
from .output_tree import OutputTree
from .results import Coverage


@dataclass(frozen=True)
class EmbedResult:
    """What was written of a recording.

    Parameters
    ----------
    file : str
        As the user named it.
    vectors : int
        How many there are.
    coverage : Coverage
    warnings : list of str
    part : Path or None
        The file of the format that `EmbedTask.part` asks for.
    """

    file: str
    vectors: int
    coverage: Coverage
    warnings: list[str] = field(default_factory=list)
    part: Path | None = None


@dataclass(frozen=True)
class EmbedTask:
    """Embeds recordings and writes the vectors, in flat memory, where they shall be (it is a `batch.Task`).

    Parameters
    ----------
    level, model, device, precision, channel, hop, context
        See `embeddings.embed`.
    dtype : {"float32", "float16"}
        How the vectors are kept.
    tree : OutputTree, optional
        Write each recording there in all ``formats``. Folders are there; what exists is replaced.
    formats : tuple of str
    part : tuple of (str, Path), optional
        Write each recording in this format to this folder, too, under a name that `EmbedResult.part` tells.
    output : tuple of (str, Path), optional
        Write the one recording that there is in this format to this file.
    overwrite : bool
        Replace that file.
    """

    level: str = "window"
    model: str = ""
    device: str = "auto"
    channel: int | None = None
    hop: float | None = None
    context: Context = None
    precision: str = "auto"
    dtype: str = "float32"
    tree: OutputTree | None = None
    formats: tuple[str, ...] = ()
    part: tuple[str, Path] | None = None
    output: tuple[str, Path] | None = None
    overwrite: bool = False

    def open(self) -> Callable[[str, Progress], EmbedResult]:
        """Check the options, load the model, and return the work.

        Raises
        ------
        UsageError, ModelNotFound
            If an option can't work.
        """
        from .constants import DEFAULT_MODEL
        from .embeddings import EmbeddingStream
        from .tagger import load
        from .whole_file import check_output
        from .writers.embedding_format import EMBEDDING_FORMATS, write_embeddings
        from .writers.embedding_npy import sidecar
        from .writers.embedding_record import check_dtype

        check_dtype(self.dtype)
        if self.output is not None:
            name, path = self.output
            for place in (path, sidecar(path)) if name == "npy" else (path,):
                check_output(place, overwrite=self.overwrite)
            _check_writable(path)
        tagger = load(self.model or DEFAULT_MODEL, self.device, self.precision)

        def stream_of(file: str, progress: Progress | None = None) -> EmbeddingStream:
            return EmbeddingStream(
                tagger,
                file,
                level=self.level,
                channel=self.channel,
                hop=self.hop,
                context=self.context,
                progress=progress,
            )

        def work(file: str, progress: Progress) -> EmbedResult:
            stream = stream_of(file, progress)
            mine = [self.output] if self.output is not None else []
            part = None
            if self.part is not None:
                part = self.part[1] / secrets.token_hex(8)
                mine.append((self.part[0], part))
            theirs = []
            if self.tree is not None:
                theirs = [
                    (name, self.tree.path(file, EMBEDDING_FORMATS[name].suffix)) for name in self.formats
                ]
            vectors = write_embeddings(
                stream, [*mine, *theirs], dtype=self.dtype, overwrite=self.overwrite or self.tree is not None
            )
            return EmbedResult(file, vectors, stream.coverage, stream.warnings, part)

        stream_of("")  # it refuses what it can't do before it opens anything
        return work


def _check_writable(output: Path) -> None:
    """Try whether there can be files beside the output: the error of a recording would put the blame on that."""
    try:
        tempfile.TemporaryFile(dir=output.parent).close()
    except OSError as error:
        raise UsageError(f"--output {output}: can't be written: {error.strerror}") from error
