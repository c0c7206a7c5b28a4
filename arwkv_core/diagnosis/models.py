"""Which models there are, whether their files are whole, and whether the bundled one says what it should."""

from __future__ import annotations

from collections.abc import Iterator

from .check import Check

SECTION = "models"
WAY_OUT = "install arwkv again: pip install --force-reinstall arwkv"


def check_models() -> Iterator[Check]:
    """Compare the weights of each model with their hash, and hold the bundled one against the plain network."""
    import arwkv_models
    from arwkv_core.errors import ArwkvError

    for model in arwkv_models.list_models():
        try:
            model.verify()
        except ArwkvError as error:
            again = WAY_OUT if model.origin == "bundled" else f"add it again, or remove {model.folder}"
            yield Check(SECTION, model.name, str(error), False, again)
        else:
            size = model.weights.stat().st_size / 1e6
            digest = model.usable_config.weights_sha256
            yield Check(SECTION, model.name, f"{model.origin}, {size:.1f} MB, SHA-256 {digest}", True)


def check_bundled_model() -> Iterator[Check]:
    """Let the bundled model hear noise, in the precision that is picked here and in float32."""
    from arwkv_core.benchmark.correctness import WrongOutput
    from arwkv_core.benchmark.model_check import check_tagger
    from arwkv_core.benchmark.precisions import choose, load_on_cpu
    from arwkv_core.constants import DEFAULT_MODEL

    for precision in dict.fromkeys([choose()[0], "fp32"]):
        name = f"{DEFAULT_MODEL} in {precision}"
        try:
            check_tagger(load_on_cpu(DEFAULT_MODEL, precision), precision)
        except WrongOutput as error:
            way_out = f"use --precision fp32 meanwhile; {WAY_OUT}, and please report it with this output"
            yield Check(SECTION, name, str(error), False, way_out)
        else:
            yield Check(SECTION, name, "its embeddings are those of the plain network", True)
