"""Ctrl-C at any moment of a training loses nothing, and what goes on ends in the same bytes."""

import os
import signal
import threading
from pathlib import Path

import pytest
from small_corpus import make_corpus, write_recipe

from arwkv_core.interrupts import deferred_interrupts
from arwkv_core.training.run import train
from arwkv_core.training.trainer import Trainer


def test_an_interrupt_waits_for_the_end_of_the_block() -> None:
    done = []

    def work() -> None:
        with deferred_interrupts():
            os.kill(os.getpid(), signal.SIGINT)
            done.append("all of it")
        done.append("no more")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["all of it"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_signal_need_not_wait() -> None:
    done = []

    def work() -> None:
        with deferred_interrupts(second_at_once=True):
            os.kill(os.getpid(), signal.SIGINT)
            done.append("after the first")
            os.kill(os.getpid(), signal.SIGINT)
            done.append("after the second")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["after the first"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_error_in_the_block_is_not_hidden() -> None:
    with pytest.raises(ValueError, match="mine"), deferred_interrupts():
        raise ValueError("mine")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_other_threads_may_use_it() -> None:
    done = []

    def work() -> None:
        with deferred_interrupts():
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.mark.parametrize("place", ["_validate", "_train_step", "_save"])
def test_an_interrupted_run_ends_in_the_same_bytes(
    place: str, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted before a validation, in the middle of a step's arithmetic, and before a checkpoint."""
    recipe = write_recipe(tmp_path / "small.toml", steps=20, optimiser="muon")

    def run(name: str) -> bytes:
        train(recipe, tmp_path / name, data=corpus, cache=tmp_path / "cache", progress=False)
        return (tmp_path / name / "small" / "model.safetensors").read_bytes()

    expected = run("whole")
    original, calls = getattr(Trainer, place), []

    def interrupted(self: Trainer, *arguments: object) -> object:
        calls.append(self.step)
        if len(calls) == 1 and place != "_train_step":
            raise KeyboardInterrupt
        if len(calls) == 13 and place == "_train_step":
            os.kill(os.getpid(), signal.SIGINT)
        return original(self, *arguments)

    monkeypatch.setattr(Trainer, place, interrupted)
    with pytest.raises(KeyboardInterrupt):
        run("stopped")
    monkeypatch.setattr(Trainer, place, original)
    assert run("stopped") == expected
    lines = [(tmp_path / name / "log.jsonl").read_text().count('"valid"') for name in ("stopped", "whole")]
    assert lines == [2, 2], "each validation once"
