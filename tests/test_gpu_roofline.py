"""The cost model of the GPU kernels: counts that can be made by hand, and what must hold whatever the assumptions."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from arwkv_kernels import cuda_launch

ROW = 2 * 64  # bytes of a tensor in 16 bits, a token and head
STATE = 4 * 64 * 64
MANY = 10**6  # multiprocessors, of which each gets a narrow block


@pytest.fixture(autouse=True)
def scripts(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(checkout / "benchmarks"))


@pytest.fixture
def work() -> Any:
    import gpu_work  # type: ignore[import-not-found]  # a script's folder, on the path for these tests only

    return gpu_work


@pytest.fixture
def cards() -> Any:
    import gpu_cards  # type: ignore[import-not-found]  # as above

    return gpu_cards


@pytest.fixture
def roofline() -> Any:
    import gpu_roofline  # type: ignore[import-not-found]  # as above

    return gpu_roofline


def registers() -> dict[str, int]:
    return dict.fromkeys(cuda_launch.KERNELS, 128)


def test_our_forward_by_hand(work: Any) -> None:
    first, second = work.ours(2, 64, 3, torch.bfloat16, 1)
    sequences = 2 * 3
    assert (first.name, second.name) == ("bi_wkv7_forward_bf16",) * 2
    # the directions meet in the middle: each has 32 tokens in either launch
    for launch, each in ((first, 6 * ROW + ROW), (second, 6 * ROW + ROW + 2 + ROW)):
        assert launch.bytes == sequences * (64 * each + 2 * STATE)
        assert (launch.blocks, launch.warps, launch.tokens) == (2 * sequences, 4, 32)
        assert launch.fmas == 5 * 64 * 64


def test_a_lone_tile_is_not_cut(work: Any) -> None:
    first, second = work.ours(1, 16, 1, torch.float32, 1)
    # one direction has all tokens in the first launch, the other has them in the second
    for launch, each in ((first, 6 * 256 + 256), (second, 6 * 256 + 256 + 4 + 256)):
        assert launch.bytes == 16 * each + 2 * STATE
        assert launch.tokens == 16


def test_narrow_blocks_have_a_quarter_of_the_rows(work: Any) -> None:
    (wide, _), (narrow, _) = (work.ours(1, 496, 3, torch.bfloat16, count) for count in (1, MANY))
    assert narrow.name == "bi_wkv7_forward_narrow_bf16"
    assert (narrow.blocks, narrow.fmas) == (4 * wide.blocks, wide.fmas // 4)
    assert narrow.bytes == wide.bytes


def test_our_backward_by_hand(work: Any) -> None:
    *_, states, first, second = work.ours(1, 32, 1, torch.bfloat16, 1, gradients=True)
    assert (states.name, first.name, second.name) == ("bi_wkv7_states_bf16", *("bi_wkv7_backward_bf16",) * 2)
    assert states.bytes == 2 * (32 * (5 * ROW + 256) + 2 * STATE)
    each = 7 * ROW + 2 + 256 + 6 * 256 + 4  # inputs, gate, S a, and the sums that go from launch to launch
    assert first.bytes == 32 * each + 2 * STATE + 2 * STATE  # a kept state and G of each direction
    assert second.bytes == 32 * (each + 6 * ROW + 2) + 4 * STATE


def test_the_source_of_the_kernel_says_the_same(work: Any) -> None:
    """Over many tokens, where states at the ends don't count."""
    source = cuda_launch.SOURCE.read_text("utf-8")
    tokens = 1 << 20
    launches = work.ours(1, tokens, 1, torch.bfloat16, 1, gradients=True)
    forward, backward = (sum(x.bytes for x in part) / tokens for part in (launches[:2], launches[2:]))
    said = [
        int(x.replace(",", ""))
        for x in re.findall(r"gate 2: ([\d,]+)\.|gradients 770: ([\d,]+)\.", source)
        for x in x
        if x
    ]
    assert [round(forward), round(backward)] == said


def test_the_published_path_by_hand(work: Any) -> None:
    launches = work.published(1, 16, 1, torch.bfloat16)
    (kernel,) = [x for x in launches if x.blocks]
    assert (kernel.blocks, kernel.warps, kernel.tokens) == (2, 2, 16)
    assert kernel.bytes == 2 * (16 * (7 * ROW + 256) + STATE)
    passes = sum(x.bytes for x in launches) - kernel.bytes
    assert passes == 16 * ROW * (6 * (2 + 4) + 2 + 2 + 2 + 3)
    assert sum(x.bytes for x in launches) == 16 * 10_112
    longer = work.published(1, 17, 1, torch.bfloat16)
    assert next(x for x in longer if x.blocks).tokens == 32, "it takes whole chunks only"


def test_blocks_of_a_multiprocessor(cards: Any) -> None:
    card = cards.CARDS[0]
    assert card.resident(4, 128, 1024) == 65536 // (128 * 128)  # registers
    assert card.resident(4, 16, 40_000) == (164 << 10) // 41_024  # shared memory
    assert card.resident(8, 16, 0) == 2048 // 256  # threads
    assert card.resident(1, 16, 0) == 32  # blocks
    assert card.resident(1, 33, 0) == 32  # 33 registers take room for 40
    with pytest.raises(ValueError, match="fits on no multiprocessor"):
        card.resident(4, 128, 200_000)


def test_what_takes_how_long_by_hand(roofline: Any, work: Any, cards: Any) -> None:
    card = cards.Card("card", "sm_90", 2, 1e9, 128, 1e12, 2048, 32, 228 << 10)
    block = work.Work("k", 10**6, 3, 2, 0, 32, 100, 6400, 10)
    found = roofline.parts(block, card, {})
    # two of the three blocks share a multiprocessor and its four schedulers; chains run side by side
    assert found == pytest.approx(
        {"memory": 1e-6, "multiply-adds": 2 * 100 * 6400 / 128 / 1e9, "chain": 1e-6}
    )
    alone = work.Work("k", 10**6, 1, 2, 0, 32, 100, 6400, 10)
    assert roofline.parts(alone, card, {})["multiply-adds"] == pytest.approx(100 * 6400 / 64 / 1e9)


@pytest.mark.parametrize("path", ["ours", "published"])
@pytest.mark.parametrize("gradients", [False, True])
def test_more_work_never_takes_less(path: str, gradients: bool, roofline: Any, work: Any, cards: Any) -> None:
    def seconds(batch: int, tokens: int, heads: int, dtype: torch.dtype, card: Any) -> float:
        if path == "ours":
            works = work.ours(batch, tokens, heads, dtype, card.multiprocessors, gradients)
        else:
            works = work.published(batch, tokens, heads, dtype, gradients)
        found = roofline.estimate(works, batch * tokens * heads, card, registers())
        assert 0 < found.occupancy <= 1
        return float(found.seconds)

    half = torch.bfloat16
    for card in cards.CARDS:
        by_length = [seconds(1, tokens, 3, half, card) for tokens in (1, 16, 17, 496, 16_384, 262_144)]
        by_batch = [seconds(batch, 496, 3, half, card) for batch in (1, 8, 64, 512)]
        by_heads = [seconds(32, 496, heads, half, card) for heads in (3, 6, 12)]
        for times in (by_length, by_batch, by_heads):
            assert times == sorted(times)
        assert seconds(256, 496, 12, torch.float32, card) >= seconds(256, 496, 12, half, card)


def test_ours_moves_less_and_is_not_slower(roofline: Any, work: Any, cards: Any) -> None:
    for card in cards.CARDS:
        for batch, tokens in ((1, 496), (256, 496), (1, 262_144)):
            places = batch * tokens * 3
            mine = work.ours(batch, tokens, 3, torch.bfloat16, card.multiprocessors)
            theirs = work.published(batch, tokens, 3, torch.bfloat16)
            ours, published = (roofline.estimate(x, places, card, registers()) for x in (mine, theirs))
            assert ours.bytes < published.bytes / 4
            assert ours.seconds < published.seconds


def test_without_a_compiler_the_bound_of_the_source_is_taken(
    roofline: Any, cards: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from arwkv_kernels import cuda_build
    from arwkv_kernels.nvrtc_library import NvrtcNotFound

    def absent() -> None:
        raise NvrtcNotFound("no NVRTC here")

    monkeypatch.setattr(cuda_build, "nvrtc", absent)
    found, source = roofline.registers_of(cards.CARDS[0], True)
    text = cuda_launch.SOURCE.read_text("utf-8")
    assert set(re.findall(r"__launch_bounds__\((.+?), (\d)\)", text)) == {
        ("THREADS", "4"),
        ("BACKWARD_THREADS", "2"),
    }
    assert found == registers()
    assert "no NVRTC here" in source
    assert roofline.registers_of(cards.CARDS[0], False)[0] == found


@pytest.mark.parametrize("form", ["table", "markdown", "json"])
def test_it_prints(form: str, checkout: Path) -> None:
    script = checkout / "benchmarks" / "gpu_roofline.py"
    done = subprocess.run(
        [sys.executable, str(script), "--format", form, "--batch", "2", "--no-compiler"],
        capture_output=True,
        text=True,
        check=True,
        encoding="utf-8",
    )
    if form == "json":
        document = json.loads(done.stdout)
        assert len(document["rows"]) == 3 * 3 * 3 * 2
        assert all(row["seconds"] > 0 for row in document["rows"])
    else:
        shapes = 3 * 3 * (1 if form == "markdown" else 3)  # a page has the cards side by side
        assert len(re.findall(r"\bours {2,}|\| ours \|", done.stdout)) == shapes
        assert len(re.findall(r"\bpublished {2,}|\| published \|", done.stdout)) == shapes
        assert "real times are longer" in done.stdout
