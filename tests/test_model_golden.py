"""The network against inputs and outputs of the published model definition."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from arwkv_core.checkpoint import load_model
from arwkv_core.model import ARWKV

DATA = Path(__file__).parent / "data"
TOLERANCES = {torch.float32: 2e-4, torch.bfloat16: 5e-2}


@pytest.fixture(scope="module")
def golden() -> dict[str, Tensor]:
    with np.load(DATA / "tiny_io.npz") as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays}


@pytest.fixture
def tiny() -> ARWKV:
    return load_model(DATA / "tiny.pth")[0]


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
def test_logits_match(tiny: ARWKV, golden: dict[str, Tensor], dtype: torch.dtype) -> None:
    with torch.inference_mode():
        logits = tiny.to(dtype)(golden["fbank"].to(dtype))
    torch.testing.assert_close(logits.float(), golden["logits"], rtol=0, atol=TOLERANCES[dtype])


def test_what_comes_before_the_logits_matches(tiny: ARWKV, golden: dict[str, Tensor]) -> None:
    seen: dict[str, Tensor] = {}

    def watch(name: str, module: nn.Module) -> None:
        def keep(module: nn.Module, inputs: object, output: object) -> None:
            seen[name] = output[0] if isinstance(output, tuple) else output

        module.register_forward_hook(keep)

    watch("patch_embed", tiny.emb)
    watch("block0_time_mix", tiny.blocks[0].att)
    watch("block0_channel_mix", tiny.blocks[0].ffn)
    for layer, block in enumerate(tiny.blocks):
        watch(f"block{layer}", block)
    with torch.inference_mode():
        tiny(golden["fbank"])
    assert seen.keys() == golden.keys() - {"fbank", "logits"}
    for name, found in seen.items():
        torch.testing.assert_close(
            found, golden[name], rtol=1e-4, atol=2e-4, msg=lambda text, n=name: f"{n}: {text}"
        )


def test_step_logits_of_one_clip_are_those_of_its_steps(tiny: ARWKV, golden: dict[str, Tensor]) -> None:
    with torch.inference_mode():
        tokens = tiny.tokens(golden["fbank"])  # (1, 62, 8, C)
        steps = tiny.step_logits(golden["fbank"])
        one = tiny.head(tiny.ln_out(tokens[:, 17].mean(1)))
    assert steps.shape == (1, 62, 527)
    torch.testing.assert_close(steps[:, 17], one)
