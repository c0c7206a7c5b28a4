"""The network for any size: shapes, positions, initial values, compilation. Exactness is in test_model_golden.py."""

import pytest
import torch

from arwkv_core import ARWKV, Architecture
from arwkv_core.errors import ConfigError


def small(**changes: object) -> Architecture:
    return Architecture(**{"depth": 2, "width": 64, "classes": 5, "position": "frequency"} | changes)


def lively(arch: Architecture, **keywords: float) -> ARWKV:
    """A network in which every weight matters: fresh ones have blocks that do nothing yet."""
    torch.manual_seed(0)
    model = ARWKV(arch, **keywords)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.05 * torch.randn_like(weight)
    return model


@pytest.mark.parametrize(("depth", "width", "classes"), [(1, 64, 1), (2, 128, 7), (3, 192, 527)])
@pytest.mark.parametrize("position", ["absolute", "frequency"])
def test_any_size(depth: int, width: int, classes: int, position: str) -> None:
    model = lively(Architecture(depth, width, classes, position, frames=48)).eval()
    fbank = torch.randn(2, 1, 48, 128)
    with torch.no_grad():
        assert model(fbank).shape == (2, classes)
        assert model.tokens(fbank).shape == (2, 3, 8, width)
        assert model.step_logits(fbank).shape == (2, 3, classes)
        clip, steps = model.clip_and_step_logits(fbank)
        torch.testing.assert_close(clip, model(fbank))
        torch.testing.assert_close(steps, model.step_logits(fbank))
        torch.testing.assert_close(model.head(model.step_embeddings(fbank)), steps)


def test_the_published_sizes_have_the_published_numbers_of_parameters() -> None:
    for width, millions in ((192, 6.24), (384, 23.40), (768, 91.62)):
        with torch.device("meta"):
            model = ARWKV(Architecture(12, width, 527))
        assert round(sum(p.numel() for p in model.parameters()) / 1e6, 2) == pytest.approx(
            millions, abs=0.011
        )


def test_frequency_positions_take_any_length_and_absolute_ones_a_single() -> None:
    free, bound = lively(small()).eval(), lively(small(position="absolute", frames=32)).eval()
    with torch.no_grad():
        for steps in (1, 3, 70):
            assert free.step_logits(torch.randn(1, 1, 16 * steps, 128)).shape[1] == steps
    with pytest.raises(ValueError, match=r"expected 32 frames, found 48.*absolute"):
        bound(torch.zeros(1, 1, 48, 128))
    with pytest.raises(ValueError, match="multiple of 16"):
        free(torch.zeros(1, 1, 40, 128))
    for shape in ((1, 48, 128), (1, 2, 48, 128), (1, 1, 48, 64)):
        with pytest.raises(ValueError, match=r"expected \(B, 1, frames, 128\)"):
            free(torch.zeros(shape))


def test_examples_of_a_batch_do_not_touch() -> None:
    model = lively(small()).eval()
    fbank = torch.randn(3, 1, 48, 128)
    with torch.no_grad():
        alone = torch.cat([model.step_logits(example[None]) for example in fbank])
        torch.testing.assert_close(model.step_logits(fbank), alone, rtol=1e-4, atol=1e-5)


def test_every_step_hears_both_directions() -> None:
    model = lively(small()).eval()
    fbank = torch.randn(1, 1, 16 * 9, 128, requires_grad=True)
    model.step_logits(fbank)[0, 4].sum().backward()
    assert fbank.grad is not None
    reach = fbank.grad[0, 0].view(9, 16, 128).abs().amax((1, 2))
    assert (reach > 0).all(), reach


def test_a_fresh_network_starts_with_blocks_that_add_nothing() -> None:
    torch.manual_seed(0)
    model = ARWKV(small()).eval()
    fbank = torch.randn(1, 1, 32, 128)
    with torch.no_grad():
        torch.testing.assert_close(model.tokens(fbank).flatten(1, 2), model.patches(fbank))
    att = model.blocks[0].att.requires_grad_(False)
    assert att.w0.flatten()[0] == pytest.approx(-6 + 0.5 - 2.5)  # z = -1 at the first channel of a head
    assert att.w0.flatten()[-1] == pytest.approx(0 + 0.5 + 2.5)
    assert (att.x_r.flatten()[0], model.blocks[1].ffn.x_k.flatten()[0]) == (1, 1)
    assert not any(getattr(att, name).any() for name in ("w1", "a1", "v1", "g1"))


def test_stochastic_depth_keeps_the_expectation() -> None:
    model = lively(small(), drop_path=0.5)
    fbank = torch.randn(1, 1, 16, 128).expand(4000, -1, -1, -1)
    x = model.patches(fbank[:1]).expand(4000, -1, -1)
    block = model.blocks[1]
    with torch.no_grad():
        _, v_first = model.blocks[0].eval()(x[:1], None)
        torch.manual_seed(0)
        mean = block.train()._skip(x).mean(0)
        torch.testing.assert_close(mean, x[0], rtol=0.1, atol=0.01)
        out = block.eval()(x[:1], v_first)[0]
        torch.testing.assert_close(out, block.eval()(x[:1], v_first)[0])


def test_it_compiles_to_one_graph() -> None:
    model = lively(small()).eval()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    fbank = torch.randn(2, 1, 48, 128)
    expected, found = model(fbank), compiled(fbank)
    torch.testing.assert_close(found, expected)
    gradients = [torch.autograd.grad(y.square().sum(), model.head.weight)[0] for y in (expected, found)]
    torch.testing.assert_close(gradients[1], gradients[0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 100}, "width must be a multiple of 64, found 100"),
        ({"width": 0}, "width"),
        ({"depth": 0}, "depth must be at least 1"),
        ({"classes": 0}, "classes must be at least 1"),
        ({"frames": 100}, "frames must be a multiple of 16, found 100"),
        ({"position": "time"}, "position must be 'absolute' or 'frequency', found 'time'"),
    ],
)
def test_impossible_architectures_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        small(**changes)
