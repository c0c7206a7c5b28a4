"""What ``arwkv bench`` measures with: targets, timings, processes, made-up recordings, plain references."""

import ctypes
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from arwkv_core import open_audio
from arwkv_core.benchmark import core_distance, fma_peak, kernel_inputs, plain_features, process
from arwkv_core.benchmark.correctness import WrongOutput, require_close
from arwkv_core.benchmark.outcome import row
from arwkv_core.benchmark.recordings import write_mp3
from arwkv_core.benchmark.settings import PARTS, Settings
from arwkv_core.benchmark.targets import Target
from arwkv_core.benchmark.timing import side_by_side
from arwkv_core.errors import ArwkvError, UsageError
from arwkv_kernels import bi_wkv7


def test_a_target_is_reached_from_its_good_side() -> None:
    faster, smaller = Target("higher", 50, 100), Target("lower", 3, 2)
    assert [faster.reached(value) for value in (49, 50, 99, 100)] == ["no", "bar", "bar", "aim"]
    assert [smaller.reached(value) for value in (3.1, 3, 2.1, 2)] == ["no", "bar", "bar", "aim"]


def test_a_row_tells_median_and_spread_and_is_held_to_its_target() -> None:
    found = row("start.help", "arwkv --help", "s", [0.5, 0.1, 0.2]).to_dict()
    assert (found["median"], found["min"], found["max"], found["part"]) == (0.2, 0.1, 0.5, "start")
    assert (found["bar"], found["aim"], found["reached"]) == (0.3, 0.15, "bar")
    assert row("start.help", "", "s", [0.5], as_asked=False).reached is None


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("part", ("kernels",)),
        ("model", ("L",)),
        ("precision", ("fp64",)),
        ("tokens", 63),
        ("repeats", 0),
        ("threads", 0),
        ("minutes", 0.1),
        ("minutes", math.nan),
    ],
)
def test_settings_out_of_range_are_refused(option: str, value: object) -> None:
    with pytest.raises(UsageError, match=f"--{option}: expected"):
        Settings(**{option: value})  # type: ignore[arg-type]


def test_parts_keep_their_order_and_nothing_means_all() -> None:
    assert Settings.of(["start", "kernel"]).part == ("kernel", "start")
    assert Settings.of().part == PARTS
    with pytest.raises(UsageError, match="'nonsense'"):
        Settings.of(["kernel", "nonsense"])


def test_things_run_in_turn_after_a_run_that_is_not_counted() -> None:
    order: list[str] = []
    seconds = side_by_side({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 2)
    assert order == ["a", "b"] * 3
    assert [len(runs) for runs in seconds.values()] == [2, 2]


def test_what_is_off_or_not_finite_is_refused() -> None:
    wanted = torch.tensor([1.0, -4.0])
    require_close("x", wanted + 0.04, wanted, 0.011)
    with pytest.raises(WrongOutput, match="x: expected an error of at most"):
        require_close("x", wanted + 0.05, wanted, 0.011)
    with pytest.raises(WrongOutput, match="finite"):
        require_close("x", torch.tensor([1.0, math.nan]), wanted, 1)
    with pytest.raises(WrongOutput, match="shape"):
        require_close("x", wanted[:1], wanted, 1)


def test_fused_multiply_adds_are_counted_on_every_thread() -> None:
    assert fma_peak.fused_multiply_adds_a_second(1, rounds=1000) > 0
    assert fma_peak.fused_multiply_adds_a_second(3, rounds=1000) > 0


def test_a_number_goes_between_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    found = core_distance.round_trip_seconds(50)
    assert found is None or found > 1e-9  # None: one core only, or another program has the second one
    monkeypatch.setattr(core_distance, "listed_cores", lambda: [0])
    assert core_distance.round_trip_seconds(50) is None


@pytest.mark.parametrize("turn", [0, 1])
def test_a_number_is_answered_in_turn_only(turn: int) -> None:
    run, _ = core_distance._bounce()
    number = ctypes.c_int64(turn)
    run(ctypes.addressof(number), turn, 1)
    assert number.value == turn + 1
    run(ctypes.addressof(number), turn, 0)
    assert number.value == turn + 1


def test_fused_multiply_adds_are_really_made() -> None:
    """Each chain tends to 2 in lane 0, where the sum of all chains and the summand is given."""
    run, _ = fma_peak._chains()
    assert run(200, 0.5, 1.0) == 2 * fma_peak.CHAINS + 1


@pytest.mark.parametrize("tokens", [4, 64, 1500])
def test_the_ends_of_a_sequence_of_any_length_are_checked(tokens: int) -> None:
    inputs = kernel_inputs.kernel_inputs(1, tokens, 2)
    y = bi_wkv7(*inputs)
    kernel_inputs.check_ends(inputs, y)
    for token in (0, tokens - 1):
        wrong = y.clone()
        wrong[:, token] += 0.01 * y.abs().max()
        with pytest.raises(WrongOutput, match="first" if token == 0 else "last"):
            kernel_inputs.check_ends(inputs, wrong)


def test_the_plain_filter_bank_is_the_definition(checkout: Path) -> None:
    with np.load(checkout / "tests" / "data" / "fbank.npz") as golden:
        error = np.abs(plain_features.plain_log_mel(golden["waveform"]) - golden["fbank"]).max()
    assert error <= plain_features.TOLERANCE


@pytest.mark.parametrize("seconds", [10.0, 90.0])
def test_made_up_recordings_are_as_long_as_asked(seconds: float, tmp_path: Path) -> None:
    write_mp3(tmp_path / "a.mp3", seconds)
    with open_audio(tmp_path / "a.mp3") as audio:
        loudest = max(float(np.abs(block).max()) for block in audio)
        assert (audio.source_sample_rate, audio.channels) == (44_100, 2)
    assert audio.decoded_seconds == pytest.approx(seconds, abs=0.1)
    assert audio.warnings == []
    assert 0.1 < loudest < 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp3"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs os.wait4")
def test_the_peak_of_a_process_is_not_ours() -> None:
    ballast = np.ones(50_000_000)  # 400 MB
    done = process.run([sys.executable, "-c", "print('here')"])
    assert done.output.split() == ["here"]
    assert done.seconds > 0
    assert done.peak_bytes is not None
    assert 1e6 < done.peak_bytes < ballast.nbytes / 2


def test_a_process_that_fails_is_an_error_with_its_last_words() -> None:
    with pytest.raises(ArwkvError, match=r"exit code 3: .*no such luck"):
        process.run([sys.executable, "-c", "import sys; print('no such luck', file=sys.stderr); sys.exit(3)"])
