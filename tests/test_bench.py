"""``arwkv bench``: reports, formats, and no number where the output is off."""

import dataclasses
import json
import statistics
from pathlib import Path
from typing import Any

import pytest
from broken_backend import broken_backend
from typer.testing import CliRunner, Result

import arwkv_core
from arwkv_cli.app import app
from arwkv_core.benchmark import bench as bench_module
from arwkv_core.benchmark import kernel_part, model_part, training_part
from arwkv_core.benchmark.bench import Report
from arwkv_core.benchmark.outcome import Failure, NotRun, Row
from arwkv_core.benchmark.settings import Settings
from arwkv_core.benchmark.targets import TARGETS
from arwkv_core.benchmark.workplace import Workplace
from arwkv_core.errors import ArwkvError

TINY = ("--tokens", "64", "--repeats", "1", "--precision", "fp32", "--quiet")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["bench", *arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def report() -> Report:
    """Of the kernel over short sequences."""
    return arwkv_core.bench(part=["kernel"], tokens=64, precision=["fp32"], repeats=1)


@pytest.fixture
def document(report: Report, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The same, as the command writes it for programs."""
    monkeypatch.setattr(bench_module, "bench", lambda **options: report)
    done = run("--part", "kernel", *TINY, "--format", "json")
    assert done.exit_code == 0, done.output
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_the_report_says_what_was_measured_where_and_how(document: dict[str, Any]) -> None:
    assert document["schema_version"] == 1
    assert document["failures"] == document["not_run"] == document["lengths"] == []
    assert document["machine"]["cores"] >= 1
    assert {"arwkv", "python", "torch"} <= set(document["machine"]["versions"])
    assert document["settings"]["part"] == ["kernel"]
    assert document["settings"]["tokens"] == 64


def test_every_row_has_runs_and_their_median(document: dict[str, Any]) -> None:
    rows = {row["key"]: row for row in document["rows"]}
    assert {"kernel.against_sdpa", "kernel.share_of_peak", "kernel.linearity", "kernel.backward"} <= set(rows)
    for key, row in rows.items():
        more = key.startswith(("kernel.token_", "kernel.backward"))
        assert len(row["runs"]) == (kernel_part.ROUNDS_MORE if more else 1)
        assert row["median"] == statistics.median(row["runs"])
        assert (row["min"], row["max"]) == (min(row["runs"]), max(row["runs"]))
        assert row["median"] >= 0 if row["key"] == "kernel.linearity" else row["median"] > 0
        assert row["what"]
        assert row["unit"]


def test_bars_stand_only_where_their_conditions_do(document: dict[str, Any]) -> None:
    rows = {row["key"]: row for row in document["rows"]}
    assert rows["kernel.against_sdpa"]["bar"] is None, "64 tokens are not 16,384"
    bar = TARGETS["kernel.backward"]
    assert (rows["kernel.backward"]["bar"], rows["kernel.backward"]["aim"]) == (bar.bar, bar.aim)


def test_a_kernel_whose_output_is_off_gets_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    with broken_backend(monkeypatch):
        done = run("--part", "kernel", *TINY, "--format", "json")
    assert done.exit_code == 1
    document = json.loads(done.stdout)
    assert document["rows"] == []
    (failure,) = document["failures"]
    assert failure["key"] == "kernel"
    assert "expected an error of at most" in failure["message"]
    assert "kernel: no number: Bi-WKV-7" in done.stderr


def test_a_model_whose_output_is_off_gets_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_part, "PEERS", ())
    settings = Settings(model=("T",), precision=("fp32",), repeats=1)
    with Workplace(settings) as place:
        (right,) = model_part.measure_models(settings, place)
        assert isinstance(right, Row)
        assert right.key == "model.T.fp32"
        with broken_backend(monkeypatch):
            (wrong,) = model_part.measure_models(settings, place)
    assert isinstance(wrong, Failure)
    assert "embeddings" in wrong.message


def test_a_training_step_whose_gradients_are_off_gets_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_part, "BATCHES", (1,))
    outcomes = list(training_part.measure_training(Settings(repeats=1)))
    assert [type(outcome) for outcome in outcomes if outcome.key == "training.step_1.float32"] == [Row]
    with broken_backend(monkeypatch), pytest.raises(ArwkvError, match="gradient of"):
        list(training_part.measure_training(Settings(repeats=1)))


def test_the_pipeline_is_measured_and_its_runs_tell_the_memory() -> None:
    report = arwkv_core.bench(part=["pipeline", "memory"], model=["T"], repeats=1, minutes=0.25)
    assert report.failures == []
    keys = [outcome.key for outcome in report.outcomes]
    assert keys[:2] == ["pipeline.T", "pipeline.front_end_share"]
    assert keys[-1] == "memory.T"
    assert report.rows[0].median > 0


def test_features_and_start_are_measured() -> None:
    report = arwkv_core.bench(part=["start", "features"], repeats=1, minutes=0.25)
    assert report.failures == []
    assert [row.key for row in report.rows] == [
        "features.in_memory",
        "features.of_mp3",
        "start.tag",
        "start.help",
        "start.import_torch",
    ]
    assert all(row.median > 0 for row in report.rows)


def test_a_run_that_did_not_hear_all_gets_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(repeats=1, minutes=0.25)
    with Workplace(settings) as place:
        short = place.recording(10.0)
        monkeypatch.setattr(place, "recording", lambda seconds: short)
        with pytest.raises(ArwkvError, match=r"expected 15 s to be heard, found 9\.99 of 10\.00"):
            place.tag(15.0, warm=False)


def test_lengths_that_do_not_fit_into_memory_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_part, "available_bytes", lambda: 1_000_000)
    (outcome,) = kernel_part._linearity(Settings(tokens=1024, repeats=1))
    assert isinstance(outcome, NotRun)
    assert "--tokens" in outcome.reason


def test_the_table_tells_targets(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_module, "bench", lambda **options: report)
    done = run("--part", "kernel", *TINY)
    assert done.exit_code == 0
    for text in ("Bi-WKV-7, backward of 8 × 496 tokens", "≤ 3.00", "≤ 2.00", "forwards"):
        assert text in done.stdout


def test_what_is_off_and_what_is_missing_is_told_in_every_format(
    report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = (Failure("a.b", "a path", "is off"), NotRun("c.d", "a peer", "not installed"))
    other = dataclasses.replace(report, outcomes=outcomes)
    monkeypatch.setattr(bench_module, "bench", lambda **options: other)
    for format in ("table", "markdown", "json"):
        done = run("--format", format)
        assert done.exit_code == 1
        assert "is off" in done.stdout
        assert "not installed" in done.stdout
        assert done.stderr == "arwkv: a.b: no number: is off\n"


def test_markdown_holds_the_command_and_the_machine(
    report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_module, "bench", lambda **options: report)
    page = tmp_path / "page.md"
    done = run("--part", "kernel", *TINY, "--format", "markdown", "--output", str(page))
    assert done.exit_code == 0
    assert done.stdout == ""
    text = page.read_text("utf-8")
    assert "`arwkv bench --part kernel --tokens 64 --precision fp32 --repeats 1`" in text
    assert "| what | bar | aim | measured | runs | |" in text
    assert text.startswith("Machine: ")
    again = run("--part", "kernel", *TINY, "--output", str(page))
    assert again.exit_code == 2, "it exists already"
    assert f"--plot {page}: exists already" in run("--plot", str(page)).stderr


@pytest.fixture
def without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "matplotlib" else find(name, *rest)
    )


@pytest.mark.usefixtures("without_matplotlib")
def test_a_plot_without_matplotlib_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    done = run(*TINY, "--plot", str(tmp_path / "a.png"))
    assert done.exit_code == 2
    assert "arwkv[bench]" in done.stderr


def test_wrong_usage() -> None:
    assert run("--part", "kernels").exit_code == 2
    done = run("--part", "kernel", "--tokens", "1")
    assert done.exit_code == 2
    assert "--tokens: expected at least 64, found 1" in done.stderr


def test_the_defaults_of_the_command_are_those_of_the_library() -> None:
    import inspect

    import typer

    command = typer.main.get_command(app).commands["bench"]  # type: ignore[attr-defined]  # the app is a group
    options = {parameter.name: parameter.default for parameter in command.params}
    for name, parameter in inspect.signature(arwkv_core.bench).parameters.items():
        if name != "progress":
            assert options[name] == (parameter.default or None), name
