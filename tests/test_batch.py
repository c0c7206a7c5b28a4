"""A batch: what becomes of recordings that fail, of processes that die, and of an interruption."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest
from batch_tasks import Dies, Lengths, NoModel, Threads

from arwkv_core.batch import run_batch, run_pairs
from arwkv_core.errors import ArwkvError, ModelNotFound, UsageError
from arwkv_core.results import Failure

FILES = ["a", "bad-1", "slow-1", "gone-1", "locked-1", "huge-1", "ccc"]
OUTCOMES = [
    ("a", 1),
    Failure("bad-1", "can't be read as audio: not a sound"),
    ("slow-1", 6),
    Failure("gone-1", "No such file or directory"),
    Failure("locked-1", "something"),
    Failure("huge-1", "not enough memory for it"),
    ("ccc", 3),
]

posix = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_fails_is_reported_and_the_others_are_done(jobs: int) -> None:
    assert list(run_batch(FILES, Lengths(), jobs=jobs)) == OUTCOMES


def test_outcomes_that_need_no_order_come_as_they_are_ready() -> None:
    pairs = list(run_pairs(FILES, Lengths(), jobs=2, ordered=False))
    assert sorted(file for file, _ in pairs) == sorted(FILES)
    assert dict(pairs) == dict(zip(FILES, OUTCOMES, strict=True))


@pytest.mark.parametrize("jobs", [1, 3])
@pytest.mark.parametrize("files", [[], ["a"]])
def test_batches_smaller_than_their_jobs(files: list[str], jobs: int, tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert list(run_batch(files, Lengths(log), jobs=jobs)) == [("a", 1)] * len(files)
    if jobs > 1 and files:
        assert len(log.read_text().split()) == 1  # no process without a recording


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize(
    ("file", "error"), [("usage-1", UsageError), ("bug-1", ZeroDivisionError), ("full-1", OSError)]
)
def test_what_concerns_every_recording_ends_the_run(file: str, error: type[Exception], jobs: int) -> None:
    with pytest.raises(error):
        list(run_batch([file, "a"], Lengths(), jobs=jobs))


def test_a_bug_in_another_process_comes_with_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        list(run_batch(["a", "bug-1"], Lengths(), jobs=2))
    assert 'raise ZeroDivisionError("a bug")' in str(caught.value.__cause__)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_task_that_cannot_be_opened_ends_the_run(jobs: int) -> None:
    with pytest.raises(ModelNotFound, match="no model 'x'"):
        list(run_batch(["a", "b"], NoModel(), jobs=jobs))


def test_jobs_below_one_are_refused() -> None:
    with pytest.raises(UsageError, match="--jobs: expected at least 1, found 0"):
        list(run_batch(["a"], Lengths(), jobs=0))


@posix
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_process_that_dies_costs_its_recording_only(jobs: int) -> None:
    files = ["a", "segfault-1", "leaves-1", "segfault-2", "ccc"]
    outcomes = dict(run_pairs(files, Lengths(), jobs=jobs, isolated=True))
    killed = "the process that read it was killed (signal 9)"
    assert outcomes == {
        "a": ("a", 1),
        "segfault-1": Failure("segfault-1", killed),
        "leaves-1": Failure("leaves-1", "the process that read it ended (exit code 7)"),
        "segfault-2": Failure("segfault-2", killed),
        "ccc": ("ccc", 3),
    }


@posix
def test_processes_that_die_while_they_load_end_the_run() -> None:
    with pytest.raises(ArwkvError, match=r"loaded the model was killed \(signal 9\).*--jobs"):
        list(run_batch(["a", "b"], Dies(), jobs=2))


def test_jobs_share_the_cores() -> None:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    jobs = max(cores, 2)
    threads = list(run_batch(["a", "b"], Threads(), jobs=jobs))
    assert threads == [max(1, cores // jobs)] * 2


@pytest.mark.parametrize("jobs", [1, 2])
def test_progress_is_told_by_recording(jobs: int) -> None:
    told: list[tuple[str, float, float | None]] = []
    list(run_batch(["slow-1", "a"], Lengths(), jobs=jobs, progress=lambda *report: told.append(report)))
    assert {("slow-1", 0.0, None), ("a", 0.0, None)} <= set(told)
    assert any(file == "slow-1" and seconds > 0 and header == 3.0 for file, seconds, header in told)


@posix
def test_an_interruption_gives_what_is_finished_and_leaves_no_process(tmp_path: Path) -> None:
    """The first recording never ends; those behind it are finished, and wait for it only."""
    log = tmp_path / "log"
    files = ["endless-1", "a", "bb"]

    def interrupt() -> None:
        time.sleep(3)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    got: list[tuple[str, object]] = []
    try:
        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            got.extend(run_pairs(files, Lengths(log), jobs=2))  # keeps what came before the exception
    finally:
        signal.signal(signal.SIGINT, before)
    assert got == [("a", ("a", 1)), ("bb", ("bb", 2))]
    for process in log.read_text().split():
        with pytest.raises(ProcessLookupError):
            os.kill(int(process), 0)
